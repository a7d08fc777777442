/**
 * One client's connection. It owns the socket, splits what comes into frames and parts them: control packets go to
 * aedes, one at a time, each after the answer to the last; data packets go to the ingress and the session. What aedes
 * answers and what queues send leave through one output, in order.
 */
import type { Client } from "aedes";
import type { Events } from "../events.ts";
import type { Ingress } from "../ingress/ingress.ts";
import type { Chunk } from "../journal/chunk.ts";
import type { Arrival, Wire } from "../listener/listener.ts";
import type { Line, Session } from "../session/session.ts";
import type { Sessions } from "../session/sessions.ts";
import type { Turn } from "../turn.ts";
import { readConnect } from "./connect.ts";
import type { ControlChannel } from "./control.ts";
import { Dialogue, type DialogueOwner } from "./dialogue.ts";
import { Fault } from "./fault.ts";
import { FilterExchange, type Subscriber } from "./filters.ts";
import { FrameReader } from "./frame.ts";
import { Inflow, type InflowLimits, type InflowOwner } from "./inflow.ts";
import { Output, type SendFlags } from "./output.ts";
import { acknowledgedId, checkFirstByte, checkReserved, packetTypes as type } from "./packet-types.ts";
import { Rights } from "./rights.ts";
import { Silence } from "./silence.ts";

export interface ConnectionLimits extends InflowLimits {
  /** Largest MQTT packet, in bytes. */
  maxPacketBytes: number;
  /** Output gathered for one connection before nothing more is taken for it. */
  maxOutputBytes: number;
  /** Subscriptions of one session; past it they are answered with 0x80. */
  maxSubscriptions: number;
  connectTimeoutMs: number;
}

/** What a connection needs of the broker. */
export interface ConnectionSurroundings {
  limits: ConnectionLimits;
  turn: Turn;
  ingress: Ingress;
  sessions: Sessions;
  events: Events;
  /** Gives aedes the control channel. */
  handle: (channel: ControlChannel) => Client;
  onDirty: (output: Output) => void;
  onClosed: (connection: Connection) => void;
}

const connackFirst = 0x20;
/** Largest CONNECT: room for the largest will that MQTT allows, and little for strangers to fill. */
const maxConnectBytes = 131_072;

/** Ends that are the broker's own decision: what the client held is not a failed attempt. */
const brokersOwn: ReadonlySet<string> = new Set(["brokerStopping", "orderKept", "ackTimeout"]);

export class Connection implements DialogueOwner, InflowOwner, Line, Subscriber {
  readonly address: string;
  readonly remoteAddress: string;
  /** The name in the certificate that the client came with. */
  readonly certifiedName: string | undefined;
  readonly rights = new Rights();
  readonly #socket: Wire;
  readonly #around: ConnectionSurroundings;
  readonly #reader: FrameReader;
  readonly #output: Output;
  readonly #dialogue: Dialogue<Connection>;
  readonly #client: Client;
  readonly #inflow: Inflow;
  #session: Session | undefined;
  #state: "new" | "connecting" | "connected" | "closed" = "new";
  #begun = false;
  #endedCleanly = false;
  #refusal: string | undefined;
  #paused = false;
  /** The SUBSCRIBE of which a refusal has been told. */
  #toldOf: FilterExchange | undefined;
  readonly #silence: Silence;

  constructor({ wire: socket, certifiedName }: Arrival, around: ConnectionSurroundings) {
    this.#socket = socket;
    this.certifiedName = certifiedName;
    this.#around = around;
    this.remoteAddress = socket.remoteAddress ?? "unknown";
    this.address = `${this.remoteAddress}:${socket.remotePort ?? 0}`;
    this.#silence = new Silence(around.turn.nowMs);
    const { maxOutputBytes, maxPacketBytes } = around.limits;
    this.#reader = new FrameReader(Math.min(maxPacketBytes, maxConnectBytes), (bytes, start, body, end) =>
      this.#onFrame(bytes, start, body, end),
    );
    this.#output = new Output(socket, {
      onDirty: around.onDirty,
      maxAnswerBytes: maxOutputBytes,
      maxPendingBytes: maxOutputBytes + maxPacketBytes,
      onOverflow: () =>
        this.fail(new Fault("slowConsumer", `more than ${maxOutputBytes} bytes of answers unread`)),
    });
    this.#inflow = new Inflow(this, around.limits);
    this.#dialogue = new Dialogue<Connection>(this);
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("drain", () => this.#onDrain());
    socket.on("error", () => this.#close("socketError"));
    socket.on("close", () => this.#close("socketClosed"));
    this.#client = around.handle(this.#dialogue.channel);
  }

  get session(): Session | undefined {
    return this.#session;
  }

  /** It has sent DISCONNECT: its will is void [MQTT-3.14.4-3]. */
  get endedCleanly(): boolean {
    return this.#endedCleanly;
  }

  get clientId(): string | null {
    return this.#session?.clientId ?? null;
  }

  /** The users were read again: whoever lost the right to be here, or to what it reads, is closed. */
  reviewAccess(): void {
    const refusal = this.rights.review(this.#session?.subscriptions.keys() ?? []);
    if (refusal !== undefined) this.fail(new Fault("notAuthorised", refusal));
  }

  // Line: what sessions and queues send.

  get heardAtMs(): number {
    return this.#silence.heardAtMs;
  }

  get silenceLimitMs(): number {
    return this.#silence.limitMs;
  }

  get writable(): boolean {
    return this.#state === "connected" && this.#output.pendingBytes < this.#around.limits.maxOutputBytes;
  }

  message(chunk: Chunk, index: number, flags: SendFlags): void {
    // Its PUBACK must be read, whatever else the client has sent too much of.
    if (flags.qos > 0) this.resumeReading();
    this.#output.message(chunk, index, flags);
  }

  acknowledgement(first: number, packetId: number): void {
    this.#output.acknowledgement(first, packetId);
  }

  // InflowOwner: when the client is read.

  pauseReading(): void {
    this.#paused = true;
    this.#socket.pause();
  }

  resumeReading(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.#silence.heardAtMs = this.#around.turn.nowMs;
    if (!this.#dialogue.asking) this.#socket.resume();
  }

  // The socket.

  #onData(chunk: Buffer): void {
    const { turn } = this.#around;
    turn.begin();
    try {
      if (!this.#begun) checkFirstByte(chunk);
      this.#begun = true;
      this.#reader.push(chunk);
    } catch (error) {
      this.fail(error);
    }
  }

  #onDrain(): void {
    if (this.#session !== undefined) this.#around.sessions.wake(this.#session);
  }

  #onFrame(bytes: Buffer, start: number, body: number, end: number): boolean {
    if (this.#state === "closed") return false;
    const kind = (bytes[start] as number) >> 4;
    if (this.#state === "new") return this.#onFirstFrame(kind, bytes, start, body, end);
    this.#silence.heardAtMs = this.#around.turn.nowMs;
    switch (kind) {
      case type.publish:
        this.#around.ingress.publish(this.#inflow, bytes, start, body, end);
        this.#inflow.came(end - start);
        return true;
      case type.puback:
      case type.pubrec:
      case type.pubrel:
      case type.pubcomp:
        this.#onAcknowledgement(kind, bytes, start, body, end);
        return true;
      case type.subscribe:
      case type.unsubscribe:
      case type.pingreq:
      case type.disconnect:
        checkReserved(kind, bytes[start] as number);
        this.#onControl(kind, Buffer.from(bytes.subarray(start, end)), body - start);
        return false;
      default:
        throw new Fault("unexpectedPacket", `packet type ${kind} from a connected client`);
    }
  }

  #onFirstFrame(kind: number, bytes: Buffer, start: number, body: number, end: number): boolean {
    if (kind !== type.connect)
      throw new Fault("unexpectedPacket", "the first packet is no CONNECT [MQTT-3.1.0-1]");
    const connect = readConnect(Buffer.from(bytes.subarray(start, end)), body - start);
    if ("returnCode" in connect) {
      this.#output.frame(Buffer.from([connackFirst, 2, 0, connect.returnCode]));
      this.#close("refused", connect.reason);
      return false;
    }
    this.#silence.limitMs = connect.keepaliveSeconds * 1_500;
    this.#state = "connecting";
    this.#dialogue.ask(connect.frame);
    this.#socket.pause();
    return false;
  }

  /** Frames behind a control packet wait for its answer. */
  #onControl(kind: number, frame: Buffer, body: number): void {
    if (kind === type.subscribe || kind === type.unsubscribe) {
      this.#dialogue.askEach(new FilterExchange(frame, body, this));
    } else {
      if (frame.length !== body) throw new Fault("malformed", `packet type ${kind} with a body`);
      if (kind === type.disconnect) return this.#onDisconnect();
      this.#dialogue.ask(frame);
    }
    this.#socket.pause();
  }

  #onDisconnect(): void {
    this.#endedCleanly = true;
    this.#close("disconnect");
  }

  #onAcknowledgement(kind: number, bytes: Buffer, start: number, body: number, end: number): void {
    checkReserved(kind, bytes[start] as number);
    const packetId = acknowledgedId(bytes, body, end);
    const session = this.#session;
    if (kind === type.puback) session?.puback(packetId);
    else if (kind === type.pubrec) session?.pubrec(packetId);
    else if (kind === type.pubrel) session?.pubrel(packetId);
    else session?.pubcomp(packetId);
    this.#around.turn.request();
  }

  // Aedes.

  onAnswer(frame: Buffer): void {
    if (this.#state === "closed") return;
    if (frame[0] === connackFirst) this.#onConnack(frame);
    else this.#output.frame(frame);
  }

  #onConnack(answer: Buffer): void {
    const frame = Buffer.from(answer);
    if (frame[3] !== 0) {
      this.#output.frame(frame);
      return;
    }
    const { sessions, events, turn, limits } = this.#around;
    const { id, clean } = this.#client as Client & { clean: boolean };
    const { session, present } = this.#openSession(id, clean);
    frame[2] = present ? 1 : 0;
    this.#state = "connected";
    this.#session = session;
    this.#inflow.session = session;
    this.#reader.allow(limits.maxPacketBytes);
    this.#silence.heardAtMs = turn.nowMs;
    this.#output.frame(frame);
    const { address } = this;
    events.emit({ event: "connection.opened", clientId: id, address, clean, sessionPresent: present });
    sessions.attach(session, this);
  }

  /** An old session with a subscription that is not allowed any more is given up for a new one. */
  #openSession(id: string, clean: boolean): { session: Session; present: boolean } {
    const { sessions, events } = this.#around;
    const opened = sessions.open(id, clean);
    const lost = this.rights.lost(opened.session.subscriptions.keys());
    if (lost === undefined) return opened;
    events.emit({
      event: "session.ended",
      clientId: id,
      reason: `no longer authorised to subscribe to ${lost}`,
    });
    sessions.open(id, true);
    return sessions.open(id, clean);
  }

  whenKept(done: () => void): void {
    if (this.#session === undefined) return;
    this.#around.sessions.whenKept(this.#session, (error) => {
      if (error !== undefined) this.fail(new Fault("storeFailed", error.message));
      else done();
    });
  }

  onAnswered(): void {
    if (this.#state === "closed") return;
    this.#silence.heardAtMs = this.#around.turn.nowMs;
    try {
      this.#reader.resume();
    } catch (error) {
      this.fail(error);
    }
    if (!this.#dialogue.asking && !this.#paused) this.#socket.resume();
  }

  // Subscriber: what a SUBSCRIBE may ask for.

  refusal(filter: string): string | undefined {
    const { subscriptions } = this.#session as Session;
    const { maxSubscriptions } = this.#around.limits;
    if (subscriptions.size < maxSubscriptions || subscriptions.has(filter)) return undefined;
    return `maxSubscriptions is ${maxSubscriptions}`;
  }

  onRefused(filter: string, reason: string): void {
    // One event tells of all: a packet may have a hundred thousand filters.
    const { exchange } = this.#dialogue;
    if (exchange !== undefined && exchange === this.#toldOf) return;
    this.#toldOf = exchange;
    const clientId = this.clientId ?? "";
    this.#around.events.emit({ event: "subscription.refused", clientId, filter, reason });
  }

  /** Why aedes is about to end the connection. */
  noteRefusal(reason: string): void {
    this.#refusal ??= reason;
  }

  onControlClosed(): void {
    // Aedes ends a connected client without an error only for another one with the same client id [MQTT-3.1.4-2].
    const kind = this.#refusal === undefined && this.#session !== undefined ? "sessionTakenOver" : "refused";
    this.#close(kind, this.#refusal);
  }

  // Time.

  /** Closes a connection that has been silent for too long. */
  checkTime(nowMs: number): void {
    if (this.#state === "closed") return;
    // While we do not read, silence is ours, not the client's [MQTT-3.1.2-24].
    const excused = this.#paused || this.#dialogue.asking;
    const fault =
      this.#state === "connected"
        ? this.#silence.keepaliveFault(nowMs, excused)
        : this.#silence.connectFault(nowMs, this.#around.limits.connectTimeoutMs);
    if (fault !== undefined) this.fail(fault);
  }

  // The end.

  /** Ends the connection because the broker stops. */
  stop(): void {
    this.#close("brokerStopping");
  }

  /** Ends the connection for the sake of the session's pools. */
  end(reason: string): void {
    this.#close(reason);
  }

  /** Ends the connection for what its client did. */
  fail(error: unknown): void {
    if (!(error instanceof Fault)) throw error;
    this.#close(error.kind, error.message);
  }

  #close(reason: string, detail?: string): void {
    if (this.#state === "closed") return;
    const session = this.#session;
    const { clientId } = this;
    this.#state = "closed";
    this.#session = undefined;
    this.#inflow.close();
    this.#around.onClosed(this);
    const failed = !this.#endedCleanly && !brokersOwn.has(reason);
    if (session !== undefined) this.#around.sessions.detach(session, failed);
    this.#output.end();
    this.#dialogue.channel.destroy();
    const { address } = this;
    const more = detail === undefined ? {} : { detail };
    this.#around.events.emit({ event: "connection.closed", clientId, address, reason, ...more });
  }
}
