/**
 * One client's connection. It owns the socket, splits what comes into frames and parts them: control packets go to
 * aedes, one at a time, each after the answer to the last; data packets go to the ingress and the session. What aedes
 * answers and what queues send leave through one output, in order.
 */
import type { Socket } from "node:net";
import type { Client } from "aedes";
import type { Authoriser } from "../auth/authoriser.ts";
import type { Events } from "../events.ts";
import type { Ingress, Publisher } from "../ingress/ingress.ts";
import type { Chunk } from "../journal/chunk.ts";
import type { Backlog } from "../pool/backlog.ts";
import type { Topic } from "../router/router.ts";
import type { Line, Session } from "../session/session.ts";
import type { Sessions } from "../session/sessions.ts";
import type { Turn } from "../turn.ts";
import { PublisherAcks } from "./acks.ts";
import { takeConnect } from "./connect.ts";
import { ControlChannel, type ControlOwner } from "./control.ts";
import { Fault } from "./fault.ts";
import { FrameReader } from "./frame.ts";
import { Output, type SendFlags } from "./output.ts";

export interface ConnectionLimits {
  /** Largest MQTT packet, in bytes. */
  maxPacketBytes: number;
  /** Output gathered for one connection before nothing more is taken for it. */
  maxOutputBytes: number;
  /** PUBLISHes of one client that are not acknowledged yet; past it the connection is not read. */
  maxInboundInFlight: number;
  connectTimeoutMs: number;
}

/** What a connection needs of the broker. */
export interface ConnectionSurroundings {
  limits: ConnectionLimits;
  turn: Turn;
  ingress: Ingress;
  sessions: Sessions;
  authoriser: Authoriser;
  events: Events;
  /** Gives aedes the control channel. */
  handle: (channel: ControlChannel) => Client;
  onDirty: (output: Output) => void;
  onClosed: (connection: Connection) => void;
}

const type = {
  connect: 1,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  unsubscribe: 10,
  pingreq: 12,
  disconnect: 14,
} as const;

const connectFirst = 0x10;
const connackFirst = 0x20;
/** Topics whose authorisation a connection remembers; at the bound it starts anew. */
const maxRememberedTopics = 1_024;

export class Connection implements ControlOwner, Line, Publisher {
  readonly address: string;
  readonly #socket: Socket;
  readonly #around: ConnectionSurroundings;
  readonly #reader: FrameReader;
  readonly #output: Output;
  readonly #control: ControlChannel;
  readonly #client: Client;
  readonly #acks = new PublisherAcks();
  readonly #heldBy = new Set<Backlog>();
  readonly #mayPublish = new Map<Topic, boolean>();
  lastTopic: Publisher["lastTopic"];
  #session: Session | undefined;
  #state: "new" | "connecting" | "connected" | "closed" = "new";
  #begun = false;
  /** A control packet is with aedes. */
  #asking = false;
  #cleanEnd = false;
  #refusal: string | undefined;
  #paused = false;
  #keepaliveMs = 0;
  #heardMs: number;

  constructor(socket: Socket, around: ConnectionSurroundings) {
    this.#socket = socket;
    this.#around = around;
    this.address = `${socket.remoteAddress ?? "unknown"}:${socket.remotePort ?? 0}`;
    this.#heardMs = around.turn.nowMs;
    this.#reader = new FrameReader(around.limits.maxPacketBytes, (bytes, start, body, end) =>
      this.#onFrame(bytes, start, body, end),
    );
    this.#output = new Output(socket, around.onDirty);
    this.#control = new ControlChannel(this);
    socket.setNoDelay(true);
    socket.on("data", (chunk: Buffer) => this.#onData(chunk));
    socket.on("drain", () => this.#onDrain());
    socket.on("error", () => this.#close("socketError"));
    socket.on("close", () => this.#close("socketClosed"));
    this.#client = around.handle(this.#control);
  }

  get session(): Session | undefined {
    return this.#session;
  }

  get clientId(): string | null {
    return this.#session?.clientId ?? null;
  }

  // Line: what sessions and queues send.

  get writable(): boolean {
    return this.#state === "connected" && this.#output.pendingBytes < this.#around.limits.maxOutputBytes;
  }

  message(chunk: Chunk, index: number, flags: SendFlags): void {
    this.#output.message(chunk, index, flags);
  }

  acknowledgement(first: number, packetId: number): void {
    this.#output.acknowledgement(first, packetId);
  }

  // Publisher: what the ingress says of the messages that came from here.

  get uncommitted(): number {
    return this.#acks.uncommitted;
  }

  mayPublish(topic: Topic): boolean {
    const known = this.#mayPublish.get(topic);
    if (known !== undefined) return known;
    const allowed = this.#around.authoriser.mayPublish(this.clientId ?? "", topic.name, topic.meaning);
    if (this.#mayPublish.size >= maxRememberedTopics) this.#mayPublish.clear();
    this.#mayPublish.set(topic, allowed);
    return allowed;
  }

  taken(packetId: number, qos: number): boolean {
    this.#acks.add(packetId, qos);
    if (this.#acks.owed >= this.#around.limits.maxInboundInFlight) this.#pause();
    if (qos < 2) return true;
    const incoming = this.#session?.incoming;
    if (incoming?.has(packetId) === true) return false;
    incoming?.add(packetId);
    return true;
  }

  committed(count: number): void {
    this.#acks.committed(count);
    this.#flushAcks();
  }

  storeFailed(error: Error): void {
    this.#fail(new Fault("storeFailed", error.message));
  }

  heldBy(backlog: Backlog): void {
    if (this.#heldBy.has(backlog)) return;
    this.#heldBy.add(backlog);
    this.#acks.hold(backlog);
    backlog.whenRelieved(() => {
      this.#heldBy.delete(backlog);
      this.#acks.letGo(backlog);
      this.#flushAcks();
    });
  }

  #flushAcks(): void {
    if (this.#state === "closed") return;
    this.#acks.flush((first, packetId) => this.#output.acknowledgement(first, packetId));
    if (this.#paused && this.#acks.owed < this.#around.limits.maxInboundInFlight / 2) this.#unpause();
  }

  #pause(): void {
    // A connection that holds deliveries is never paused: its PUBACKs are what empties the pools.
    if (this.#paused || (this.#session?.outbox.size ?? 0) > 0) return;
    this.#paused = true;
    this.#socket.pause();
  }

  #unpause(): void {
    this.#paused = false;
    this.#heardMs = this.#around.turn.nowMs;
    if (!this.#asking) this.#socket.resume();
  }

  // The socket.

  #onData(chunk: Buffer): void {
    const { turn } = this.#around;
    turn.begin();
    this.#heardMs = turn.nowMs;
    try {
      if (!this.#begun) checkFirstByte(chunk);
      this.#begun = true;
      this.#reader.push(chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  #onDrain(): void {
    if (this.#session !== undefined) this.#around.sessions.wake(this.#session);
  }

  #onFrame(bytes: Buffer, start: number, body: number, end: number): boolean {
    if (this.#state === "closed") return false;
    const kind = (bytes[start] as number) >> 4;
    if (this.#state === "new") return this.#onFirstFrame(kind, bytes, start, body, end);
    switch (kind) {
      case type.publish:
        this.#around.ingress.publish(this, bytes, start, body, end);
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
        return this.#ask(kind, Buffer.from(bytes.subarray(start, end)));
      default:
        throw new Fault("unexpectedPacket", `packet type ${kind} from a connected client`);
    }
  }

  #onFirstFrame(kind: number, bytes: Buffer, start: number, body: number, end: number): boolean {
    if (kind !== type.connect)
      throw new Fault("unexpectedPacket", "the first packet is no CONNECT [MQTT-3.1.0-1]");
    const frame = Buffer.from(bytes.subarray(start, end));
    const head = takeConnect(frame, body - start);
    this.#keepaliveMs = head.keepaliveSeconds * 1_500;
    this.#state = "connecting";
    return this.#ask(kind, frame);
  }

  #onAcknowledgement(kind: number, bytes: Buffer, start: number, body: number, end: number): void {
    checkReserved(kind, bytes[start] as number);
    if (end - body !== 2) throw new Fault("malformed", `an acknowledgement of ${end - body} bytes`);
    const packetId = ((bytes[body] as number) << 8) | (bytes[body + 1] as number);
    const session = this.#session;
    if (kind === type.puback) session?.puback(packetId);
    else if (kind === type.pubrec) session?.pubrec(packetId);
    else if (kind === type.pubrel) session?.pubrel(packetId);
    else session?.pubcomp(packetId);
    this.#around.turn.request();
  }

  // Aedes.

  /** Gives aedes a control packet; frames behind it wait for the answer. */
  #ask(kind: number, frame: Buffer): boolean {
    this.#asking = true;
    if (kind === type.disconnect) this.#cleanEnd = true;
    this.#control.feed(frame);
    this.#socket.pause();
    return false;
  }

  onAnswer(frame: Buffer): void {
    if (this.#state === "closed") return;
    if (frame[0] === connackFirst) this.#onConnack(frame);
    else this.#output.frame(frame);
    // Aedes tells of subscriptions just after it has written its answer: they come before the next frame.
    process.nextTick(() => this.#goOn());
  }

  #onConnack(answer: Buffer): void {
    const frame = Buffer.from(answer);
    if (frame[3] !== 0) {
      this.#output.frame(frame);
      return;
    }
    const { sessions, events } = this.#around;
    const { id, clean } = this.#client as Client & { clean: boolean };
    const { session, present } = sessions.open(id, clean);
    frame[2] = present ? 1 : 0;
    this.#state = "connected";
    this.#session = session;
    this.#output.frame(frame);
    const { address } = this;
    events.emit({ event: "connection.opened", clientId: id, address, clean, sessionPresent: present });
    sessions.attach(session, this);
  }

  #goOn(): void {
    if (!this.#asking || this.#state === "closed") return;
    this.#asking = false;
    try {
      this.#reader.resume();
    } catch (error) {
      this.#fail(error);
    }
    if (!this.#asking && !this.#paused) this.#socket.resume();
  }

  /** Why aedes is about to end the connection. */
  noteRefusal(reason: string): void {
    this.#refusal ??= reason;
  }

  onControlClosed(): void {
    if (this.#cleanEnd) return this.#close("disconnect");
    // Aedes ends a connected client without an error only for another one with the same client id [MQTT-3.1.4-2].
    const kind = this.#refusal === undefined && this.#session !== undefined ? "sessionTakenOver" : "refused";
    this.#close(kind, this.#refusal);
  }

  // Time.

  /** Closes a connection that has been silent for too long. */
  checkTime(nowMs: number): void {
    if (this.#state === "closed") return;
    const silentMs = nowMs - this.#heardMs;
    if (this.#state !== "connected") {
      if (silentMs > this.#around.limits.connectTimeoutMs)
        this.#fail(new Fault("connectTimeout", "no CONNECT in time"));
      return;
    }
    // While we do not read, silence is ours, not the client's [MQTT-3.1.2-24].
    if (this.#keepaliveMs === 0 || this.#paused || silentMs <= this.#keepaliveMs) return;
    this.#fail(new Fault("keepaliveTimeout", `silent for ${Math.round(silentMs)} ms`));
  }

  // The end.

  /** Ends the connection because the broker stops. */
  stop(): void {
    this.#close("brokerStopping");
  }

  #fail(error: unknown): void {
    if (!(error instanceof Fault)) throw error;
    this.#close(error.kind, error.message);
  }

  #close(reason: string, detail?: string): void {
    if (this.#state === "closed") return;
    const session = this.#session;
    const { clientId } = this;
    this.#state = "closed";
    this.#session = undefined;
    this.#around.onClosed(this);
    if (session !== undefined)
      this.#around.sessions.detach(session, !this.#cleanEnd && reason !== "brokerStopping");
    this.#closeSocket();
    this.#control.destroy();
    const { address } = this;
    const more = detail === undefined ? {} : { detail };
    this.#around.events.emit({ event: "connection.closed", clientId, address, reason, ...more });
  }

  /** Sends what is gathered, then ends; what still comes in is thrown away. */
  #closeSocket(): void {
    const socket = this.#socket;
    this.#output.flush();
    socket.removeAllListeners("data");
    socket.resume();
    socket.setTimeout(lingerMs, () => socket.destroy());
    socket.destroySoon();
  }
}

/** Whoever speaks another protocol is told apart by one byte, not by a timeout [MQTT-3.1.0-1]. */
function checkFirstByte(chunk: Buffer): void {
  if (chunk[0] !== connectFirst) throw new Fault("unexpectedPacket", "the first packet is no CONNECT");
}

/** Longest wait for a client that does not take the last bytes meant for it. */
const lingerMs = 5_000;

/** The lower four bits of the first byte [MQTT-2.2.2-2]. */
function checkReserved(kind: number, first: number): void {
  const wanted = kind === type.subscribe || kind === type.unsubscribe || kind === type.pubrel ? 2 : 0;
  if ((first & 0x0f) !== wanted)
    throw new Fault("malformed", `packet type ${kind} with flags ${first & 0x0f}`);
}
