/**
 * What one client publishes: its acknowledgements, and when it must be read no further. A client that a full pool holds
 * back is not read past either bound; one that holds deliveries is read on, because its PUBACKs are what empties the
 * pools, up to a second bound at which it is closed.
 */
import type { Publisher } from "../ingress/ingress.ts";
import type { Destination, Topic } from "../router/router.ts";
import type { Session } from "../session/session.ts";
import { PublisherAcks } from "./acks.ts";
import { Fault } from "./fault.ts";
import type { Rights } from "./rights.ts";

export interface InflowLimits {
  /** PUBLISHes of one client that are not acknowledged yet; past it the connection is not read. */
  maxInboundInFlight: number;
  /** Bytes of PUBLISHes that a full pool holds back; past it the connection is not read, past twice that closed. */
  maxHeldBytes: number;
}

/** The connection. */
export interface InflowOwner {
  readonly rights: Rights;
  acknowledgement(first: number, packetId: number): void;
  /** Reads the client no further. */
  pauseReading(): void;
  resumeReading(): void;
  fail(fault: Fault): void;
}

/** As many as there are packet identifiers: more can only be a client that uses one twice. */
const maxOwedAcks = 65_535;

export class Inflow implements Publisher {
  lastTopic: Publisher["lastTopic"];
  /** Of the connected client; stays when the connection ends, for what is not stored by then. */
  session: Session | undefined;
  readonly #owner: InflowOwner;
  readonly #limits: InflowLimits;
  readonly #acks = new PublisherAcks();
  /** Full pools that hold it back, with how to be forgotten by them. */
  readonly #heldBy = new Map<Destination, () => void>();
  #heldBytes = 0;
  #closed = false;

  constructor(owner: InflowOwner, limits: InflowLimits) {
    this.#owner = owner;
    this.#limits = limits;
  }

  get uncommitted(): number {
    return this.#acks.uncommitted;
  }

  mayPublish(topic: Topic): boolean {
    return this.#owner.rights.mayPublish(topic);
  }

  taken(packetId: number, qos: number): boolean {
    if (this.#acks.owed >= maxOwedAcks)
      throw new Fault("tooManyInFlight", `more than ${maxOwedAcks} PUBLISHes that are not acknowledged`);
    this.#acks.add(packetId, qos);
    if (this.#acks.owed >= this.#limits.maxInboundInFlight) this.#pause();
    const incoming = this.session?.incoming;
    if (qos < 2 || incoming === undefined) return true;
    if (incoming.has(packetId)) return false;
    incoming.add(packetId);
    return true;
  }

  /**
   * A PUBLISH of this size has come in.
   * @throws Fault tooManyInFlight
   */
  came(byteLength: number): void {
    if (!this.#acks.held) return;
    this.#heldBytes += byteLength;
    const { maxHeldBytes } = this.#limits;
    if (this.#heldBytes <= maxHeldBytes) return;
    if (this.#heldBytes > 2 * maxHeldBytes)
      throw new Fault("tooManyInFlight", `more than ${2 * maxHeldBytes} bytes for a full pool`);
    this.#pause();
  }

  committed(count: number): void {
    this.#acks.committed(count);
    this.#flush();
  }

  storeFailed(error: Error): void {
    // What is not stored must not be taken for a repeat when the client sends it again.
    for (const packetId of this.#acks.uncommittedQos2()) {
      // Another connection of the client that has repeated it meanwhile must not be answered either.
      if (this.session?.incoming.delete(packetId) === true && this.#closed)
        this.session.disconnect("storeFailed");
    }
    this.#owner.fail(new Fault("storeFailed", error.message));
  }

  heldBy(backlog: Destination): void {
    if (this.#heldBy.has(backlog)) return;
    this.#acks.hold(backlog);
    const forget = backlog.whenRelieved(() => {
      this.#heldBy.delete(backlog);
      this.#acks.letGo(backlog);
      this.#flush();
    });
    this.#heldBy.set(backlog, forget);
  }

  /** The connection has ended: nothing is acknowledged any more. */
  close(): void {
    this.#closed = true;
    for (const forget of this.#heldBy.values()) forget();
    this.#heldBy.clear();
  }

  #pause(): void {
    if ((this.session?.outbox.size ?? 0) === 0) this.#owner.pauseReading();
  }

  #flush(): void {
    if (this.#closed) return;
    this.#acks.flush((first, packetId) => this.#owner.acknowledgement(first, packetId));
    if (!this.#acks.held) this.#heldBytes = 0;
    const { maxInboundInFlight, maxHeldBytes } = this.#limits;
    if (this.#acks.owed < maxInboundInFlight / 2 && this.#heldBytes <= maxHeldBytes)
      this.#owner.resumeReading();
  }
}
