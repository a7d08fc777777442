/** A random history of a buffer, the same for the same seed but for when its thread answers: full, drained, restarted. */
import { setImmediate } from "node:timers/promises";
import type { Test } from "tap";
import type { BufferOptions } from "../../agent/src/buffer/options.ts";
import type { BufferedTick } from "../../agent/src/buffer/queue.ts";
import { seededRandom } from "../support/random.ts";
import { openBuffer } from "./buffer-support.ts";
import { FakeClock, trade, until } from "./support.ts";

const symbols = ["A", "B"];
const steps = 260;
const calmMs = 6_000;
/** So many trades come behind a gap record of the venue. */
const gapShare = 0.002;

type Opened = Awaited<ReturnType<typeof openBuffer>>;

export class BufferHistory {
  /** The records that were acknowledged, by symbol. */
  readonly delivered = new Map(symbols.map((symbol) => [symbol, new Set<string>()]));
  /** What the buffers said was lost. */
  lost = 0;
  restarts = 0;
  readonly #t: Test;
  readonly #directory: string;
  readonly #random: () => number;
  readonly #clock = new FakeClock();
  #opened: Opened | undefined;
  #taken: BufferedTick[] = [];
  #put = 0;

  constructor(t: Test, directory: string, seed: number) {
    this.#t = t;
    this.#directory = directory;
    this.#random = seededRandom(seed);
  }

  async run(): Promise<void> {
    await this.#open();
    for (let step = 0; step < steps; step += 1) await this.#step();
    await this.#drain();
  }

  async #step(): Promise<void> {
    const chance = this.#random();
    if (chance < 0.55) this.#putSome(this.#below(600));
    else if (chance < 0.8) this.#takeSome(this.#below(900));
    else if (chance < 0.985) this.#clock.advance(this.#below(2_500));
    else await this.#restart();
    for (let turns = this.#below(6); turns > 0; turns -= 1) await setImmediate();
    if (this.#random() < 0.03) await this.#buffer.flush();
  }

  #putSome(count: number): void {
    for (let left = count; left > 0 && !this.#buffer.intake().full; left -= 1) {
      this.#put += 1;
      const symbol = symbols[this.#below(symbols.length)] ?? "";
      const tradeId = `${this.#put}`;
      const feed = { reason: "feed", count: 1, fromTradeId: tradeId, toTradeId: tradeId } as const;
      if (this.#random() < gapShare) this.#buffer.gap({ venue: "binance", symbol, ...feed });
      const noise = (): string => `1.${this.#below(2 ** 31)}${this.#below(2 ** 31)}${this.#below(2 ** 31)}`;
      this.#buffer.put({ ...trade(this.#put, symbol), price: noise(), size: noise() });
    }
  }

  #takeSome(count: number): void {
    for (let left = count; left > 0; left -= 1) {
      const tick = this.#buffer.take();
      if (tick === undefined) break;
      this.#taken.push(tick);
    }
    this.#settle(this.#below(this.#taken.length + 1));
  }

  /** The oldest so many of those that are on their way. */
  #settle(count: number): void {
    const settled = this.#taken.splice(0, count);
    const last = settled.at(-1);
    if (last !== undefined) this.#buffer.settle(last.position);
    for (const { stream, payload } of settled) this.delivered.get(stream.symbol)?.add(payload);
  }

  /** What is on its way comes again. */
  async #restart(): Promise<void> {
    await this.#opened?.stop();
    this.lost += this.#buffer.stats().lost;
    this.#taken = [];
    this.restarts += 1;
    await this.#open();
  }

  async #open(): Promise<void> {
    const options: Partial<BufferOptions> = {
      clock: this.#clock,
      maxBytes: (192 + this.#below(320)) * 2 ** 10,
      maxAgeMs: 20_000 + this.#below(400_000),
      whenFull: this.#oneOf("dropOldest", "dropOldest", "dropNewest", "block"),
      drain: this.#oneOf("oldestFirst", "newestFirst"),
      keepAcknowledgedMs: this.#oneOf(0, 30_000),
      commitLatencyMs: this.#oneOf(5, 1_000),
    };
    this.#opened = await openBuffer(this.#t, this.#directory, options);
  }

  /** Everything, with the gap records that come of it. */
  async #drain(): Promise<void> {
    let calm = 0;
    await until(async () => {
      const before = this.#taken.length;
      for (let tick = this.#buffer.take(); tick !== undefined; tick = this.#buffer.take())
        this.#taken.push(tick);
      calm = before === 0 && this.#taken.length === 0 && this.#buffer.isEmpty() ? calm + 1 : 0;
      this.#settle(this.#taken.length);
      this.#clock.advance(calmMs);
      await this.#buffer.flush();
      return calm > 2;
    });
    this.lost += this.#buffer.stats().lost;
  }

  get #buffer(): Opened["buffer"] {
    if (this.#opened === undefined) throw new Error("the buffer is not open");
    return this.#opened.buffer;
  }

  #below(end: number): number {
    return Math.floor(this.#random() * end);
  }

  #oneOf<T>(...choices: readonly T[]): T {
    return choices[this.#below(choices.length)] as T;
  }
}
