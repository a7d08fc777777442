/**
 * A power cut at the commit boundaries of a whole buffer: several streams, gap records, evictions, acknowledgements out of
 * order. What had left the device before the commit and what comes after the cut are judged together.
 */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { type Test, test } from "tap";
import type { SqliteBuffer } from "../../agent/src/buffer/sqlite-buffer.ts";
import { openBuffer, takeAll } from "../agent/buffer-support.ts";
import { FakeClock, trade } from "../agent/support.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { BufferLedger } from "./buffer-ledger.ts";
import { cutsBetween, type Files, isChanged, plant, snapshot } from "./torn-files.ts";

/** How many of the boundaries are looked at; `npm run soak` asks for all. */
const share = Number(process.env.TORN_SHARE ?? 0.02);
const commits = 170;
const symbols = ["A", "B", "C"];
const bounds = { maxBytes: 2 ** 18, whenFull: "dropOldest", drain: "newestFirst" } as const;

const digits = (): string => BigInt(`0x${randomBytes(24).toString("hex")}`).toString();
const oneOf = <T>(choices: readonly T[]): T => choices[Math.floor(Math.random() * choices.length)] as T;

/** What a device has said and stored until now. */
class History {
  readonly sent: [symbol: string, payload: string][] = [];
  /** The newest number of each stream. */
  readonly #given = new Map<string, number>();
  #count = 0;

  /** Everything here happens in one turn, so no commit is done meanwhile. */
  live(buffer: SqliteBuffer): void {
    for (let n = Math.random() * 200; n > 0; n -= 1) this.#put(buffer);
    let last: number | undefined;
    for (let n = Math.random() * 120; n > 0; n -= 1) {
      const tick = buffer.take();
      if (tick === undefined) break;
      this.sent.push([tick.stream.symbol, tick.payload]);
      last = tick.position;
    }
    if (last !== undefined && Math.random() < 0.6) buffer.settle(last);
  }

  /** All that was given until now is committed. */
  committed(): Map<string, number> {
    return new Map(this.#given);
  }

  #put(buffer: SqliteBuffer): void {
    this.#count += 1;
    const symbol = oneOf(symbols);
    if (Math.random() < 0.02) return void buffer.gap({ venue: "binance", symbol, reason: "feed", count: 3 });
    const noise = { price: `1.${digits()}`, size: `1.${digits()}`, tradeId: randomBytes(60).toString("hex") };
    buffer.put({ ...trade(this.#count, symbol), ...noise });
    for (const stream of buffer.streams()) this.#given.set(stream.symbol, stream.seq);
  }
}

async function drainInto(ledger: BufferLedger, buffer: SqliteBuffer): Promise<void> {
  do {
    const ticks = await Promise.race([takeAll(buffer), buffer.failed]);
    for (const { stream, payload } of ticks) ledger.sent(stream.symbol, payload, 2);
    const last = ticks.at(-1);
    if (last !== undefined) buffer.settle(last.position);
    await buffer.flush();
  } while (!buffer.isEmpty());
}

/** @returns what is not as it must be after a start with these files */
async function faultsOf(t: Test, directory: string, files: Files, ledger: BufferLedger): Promise<string[]> {
  plant(directory, files);
  const { buffer, lines, stop } = await openBuffer(t, directory, { ...bounds, clock: new FakeClock() });
  await drainInto(ledger, buffer);
  for (const symbol of symbols) buffer.put(trade(1, symbol));
  await drainInto(ledger, buffer);
  await stop();
  const isSetAside = lines.some(({ event }) => event === "bufferSetAside");
  return [...ledger.faults(), ...(isSetAside ? ["it was set aside"] : [])];
}

test("torn writes under a buffer that is used in every way: it starts, and each number is there or told of", async (t) => {
  const root = await temporaryDirectory(t);
  const clock = new FakeClock();
  const directory = join(root, "live");
  const { buffer } = await openBuffer(t, directory, { ...bounds, clock });
  const history = new History();
  history.live(buffer);
  await buffer.flush();
  let [before, committed] = [snapshot(directory), history.committed()];
  let [states, checkpoints] = [0, 0];
  const faults: string[] = [];
  for (let number = 2; number <= commits; number += 1) {
    history.live(buffer);
    const sent = history.sent.length;
    if (Math.random() < 0.1) clock.advance(6_000); // a run of losses is over
    await buffer.flush();
    const after = snapshot(directory);
    const isCheckpoint = isChanged(before, after);
    if (isCheckpoint) checkpoints += 1;
    for (const files of isCheckpoint || Math.random() < share ? cutsBetween(before, after) : []) {
      states += 1;
      const ledger = new BufferLedger();
      for (const [symbol, payload] of history.sent.slice(0, sent)) ledger.sent(symbol, payload, 1);
      for (const [symbol, to] of committed) ledger.committed(symbol, 1, to);
      faults.push(...(await faultsOf(t, join(root, "cut"), files, ledger)));
    }
    [before, committed] = [after, history.committed()];
  }
  t.comment(
    `${states} states, ${checkpoints} checkpoints, ${history.sent.length} sent, ${buffer.stats().lost} given up`,
  );
  t.same(faults.slice(0, 10), [], `${faults.length} faults`);
  t.ok(checkpoints > 0 && states > 5, `${states} states, ${checkpoints} checkpoints`);
  t.ok(buffer.stats().lost > 500, "much was given up");
});
