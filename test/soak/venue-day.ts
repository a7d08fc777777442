/** Two venues with a daily pattern, that now and then break off, announce their end, fall silent or repeat themselves. */
import { type VenueClient, VenueServer } from "../agent/venue-server.ts";
import type { Teardown } from "../support/teardown.ts";

const hourMs = 3_600_000;
/** Trades in a second of the simulated day, on the average, per venue. */
const meanRate = 1;

export class VenueDay {
  readonly symbols = ["AAA", "BBB", "CCC", "DDD", "EEE"];
  readonly sent = { binance: 0, bitstamp: 0 };
  readonly faults = { broken: 0, announced: 0, silent: 0, repeated: 0 };
  readonly #numbered = new VenueServer((client) => this.#welcome(client, '{"result":null,"id":1}'));
  readonly #unnumbered = new VenueServer((client) => this.#subscribe(client));
  readonly #ids = new Map<string, number>();
  #silentUntilMs = 0;

  async start(t: Teardown): Promise<void> {
    await this.#numbered.start(t);
    await this.#unnumbered.start(t);
  }

  get specs(): string[] {
    return [
      `binance:${this.symbols.join(",")}?url=${this.#numbered.url}`,
      `bitstamp:${this.symbols.join(",")}?url=${this.#unnumbered.url}`,
    ];
  }

  /** The trades of so much simulated time. */
  trade(timeMs: number, forMs: number): void {
    const rate = meanRate * (1 + 0.9 * Math.sin((timeMs / hourMs / 24) * 2 * Math.PI));
    const count = Math.round((rate * forMs) / 1_000 + Math.random() - 0.5);
    for (let n = 0; n < count; n += 1) this.#tradeOnce(timeMs);
  }

  /** So many trades of each symbol where ids do not count, that whoever remembers ids has as many as it ever will. */
  async fillMemories(trades: number, pause: () => Promise<void>): Promise<void> {
    for (let n = 1; n <= trades * this.symbols.length; n += 1) {
      this.#tradeOf("bitstamp", this.symbols[n % this.symbols.length] as string);
      if (n % 500 === 0) await pause();
    }
  }

  /** Something that venues do. */
  disturb(timeMs: number): void {
    const fault = Math.random();
    const sockets = [this.#numbered, this.#unnumbered].flatMap(live).map(({ socket }) => socket);
    if (fault < 0.5) {
      this.faults.broken += 1;
      for (const socket of sockets) if (Math.random() < 0.7) socket.terminate();
    } else if (fault < 0.8) {
      this.faults.announced += 1;
      for (const client of live(this.#unnumbered)) client.send('{"event":"bts:request_reconnect"}');
    } else {
      this.faults.silent += 1;
      this.#silentUntilMs = timeMs + 180_000;
    }
  }

  #welcome(client: VenueClient, ack: string): void {
    client.socket.once("message", () => client.send(ack));
  }

  #subscribe(client: VenueClient): void {
    client.socket.on("message", (text) => {
      const { event, data } = JSON.parse(String(text)) as { event: string; data?: { channel?: string } };
      if (event === "bts:heartbeat") client.send('{"event":"bts:heartbeat"}');
      if (event !== "bts:subscribe") return;
      client.send(JSON.stringify({ event: "bts:subscription_succeeded", channel: data?.channel, data: {} }));
    });
  }

  #tradeOnce(timeMs: number): void {
    const symbol = this.symbols[Math.floor(Math.random() ** 2 * this.symbols.length)] as string;
    const isSilent = timeMs < this.#silentUntilMs;
    for (const venue of ["binance", "bitstamp"] as const) this.#tradeOf(venue, symbol, isSilent);
  }

  #tradeOf(venue: "binance" | "bitstamp", symbol: string, isSilent = false): void {
    const id = (this.#ids.get(venue + symbol) ?? 0) + 1;
    this.#ids.set(venue + symbol, id);
    this.sent[venue] += 1;
    if (isSilent) return;
    const frame = venue === "binance" ? numbered(symbol, id) : unnumbered(symbol, id);
    const times = Math.random() < 0.01 ? 2 : 1;
    this.faults.repeated += times - 1;
    const server = venue === "binance" ? this.#numbered : this.#unnumbered;
    for (const client of live(server)) for (let n = 0; n < times; n += 1) client.send(frame);
  }
}

/** Clients that have gone are forgotten, for a day has many. */
function live(server: VenueServer): VenueClient[] {
  const there = server.clients.filter(({ closed }) => !closed);
  server.clients.splice(0, server.clients.length, ...there);
  return there;
}

const digits = (): string => `1.${Math.random().toFixed(10).slice(2)}`;

const numbered = (symbol: string, id: number): string =>
  `{"stream":"x","data":{"e":"trade","s":"${symbol}","t":${id},"p":"${digits()}","q":"1","T":${Date.now()},"m":true}}`;

const unnumbered = (symbol: string, id: number): string =>
  `{"event":"trade","channel":"live_trades_${symbol.toLowerCase()}","data":{"id":${id},"price_str":"${digits()}","amount_str":"2","type":0,"microtimestamp":"${Date.now()}000"}}`;
