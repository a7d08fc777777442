/** A venue for tests: a real WebSocket server that keeps what it is sent, and a source that reads from it. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { type Clock, systemClock, type VenueGap, type VenueTrade } from "@equipoise/shared";
import { type WebSocket, WebSocketServer } from "ws";
import type { ReadMark, ReadMarks, TickSink } from "../../agent/src/source/source.ts";
import { parseSourceSpec } from "../../agent/src/source/spec.ts";
import { VenueSource } from "../../agent/src/source/venue/venue-source.ts";
import type { Teardown } from "../support/teardown.ts";
import { recordedLog, until } from "./support.ts";

export class VenueClient {
  /** Text frames of the client in order. */
  readonly frames: string[] = [];
  pings = 0;
  closed = false;
  readonly socket: WebSocket;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("message", (data) => this.frames.push(String(data)));
    socket.on("ping", () => {
      this.pings += 1;
    });
    socket.on("close", () => {
      this.closed = true;
    });
    socket.on("error", () => {}); // the client may go without a word
  }

  send(...frames: readonly string[]): void {
    for (const frame of frames) this.socket.send(frame);
  }

  /** Sends, and resolves when the client has taken everything, as its pong says, or has gone. */
  async sendAll(...frames: readonly string[]): Promise<void> {
    this.send(...frames);
    if (this.closed) return;
    const { promise: answered, resolve } = Promise.withResolvers<void>();
    for (const event of ["pong", "close"]) this.socket.once(event, resolve);
    this.socket.ping();
    await answered;
    for (const event of ["pong", "close"]) this.socket.off(event, resolve);
  }
}

export class VenueServer {
  readonly clients: VenueClient[] = [];
  url = "";
  #onClient: (client: VenueClient, index: number) => void;
  #server: WebSocketServer | undefined;

  /** @param onClient what happens when a client comes; the index counts from 0 */
  constructor(onClient: (client: VenueClient, index: number) => void = () => {}) {
    this.#onClient = onClient;
  }

  async start(t: Teardown): Promise<void> {
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
    this.#server = server;
    server.on("connection", (socket) => {
      const client = new VenueClient(socket);
      this.clients.push(client);
      this.#onClient(client, this.clients.length - 1);
    });
    await once(server, "listening");
    this.url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
    t.teardown(() => this.stop());
  }

  stop(): void {
    for (const { socket } of this.clients) socket.terminate();
    this.#server?.close();
  }

  /** The client once it is there. */
  async client(index: number): Promise<VenueClient> {
    await until(() => this.clients.length > index);
    return this.clients[index] as VenueClient;
  }
}

/** A sink that keeps everything, in order. */
export class KeptRecords implements TickSink {
  readonly records: (VenueTrade | VenueGap)[] = [];
  /** What `put` and `gap` answer. */
  hasRoom = true;
  #resume: (hasRoom: boolean) => void = () => {};

  get trades(): VenueTrade[] {
    return this.records.filter((record) => "price" in record);
  }

  get gaps(): VenueGap[] {
    return this.records.filter((record) => "reason" in record);
  }

  get ids(): (string | undefined)[] {
    return this.trades.map(({ tradeId }) => tradeId);
  }

  put(trade: VenueTrade): boolean {
    this.records.push(trade);
    return this.hasRoom;
  }

  gap(gap: VenueGap): boolean {
    this.records.push(gap);
    return this.hasRoom;
  }

  room(): Promise<boolean> {
    return new Promise((resolve) => {
      this.#resume = resolve;
    });
  }

  makeRoom(): void {
    this.hasRoom = true;
    this.#resume(true);
  }

  /** There will be no room any more. */
  close(): void {
    this.#resume(false);
  }
}

/** How far streams were read, by venue and symbol. */
export class KeptMarks implements ReadMarks {
  readonly marks = new Map<string, ReadMark>();

  of(venue: string, symbol: string): ReadMark | undefined {
    return this.marks.get(`${venue} ${symbol}`);
  }

  readUntil(venue: string, symbol: string, receivedTimeUs: number): void {
    const before = { exchangeTimeUs: receivedTimeUs, ...this.of(venue, symbol) };
    this.marks.set(`${venue} ${symbol}`, { ...before, receivedTimeUs });
  }
}

/** Runs a source of a venue until the test ends. */
export function runVenue(
  t: Teardown,
  text: string,
  options: { clock?: Clock; random?: () => number; marks?: KeptMarks } = {},
) {
  const { clock = systemClock, random = () => 0.1, marks = new KeptMarks() } = options;
  const spec = parseSourceSpec(text);
  if ("fault" in spec || spec.kind !== "venue") throw new Error(`no venue: ${text}`);
  const { logger, lines } = recordedLog();
  const source = new VenueSource({ spec, clock, random, logger, marks });
  const sink = new KeptRecords();
  const ended = source.run(sink);
  ended.catch(() => {}); // some tests expect it to fail
  t.teardown(async () => {
    source.stop();
    await ended.catch(() => {});
  });
  return { source, sink, lines, ended, marks };
}
