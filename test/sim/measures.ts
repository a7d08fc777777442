/** What one run is judged by. Latencies are from the intended time of sending to the true end of the work. */
import type { Disturbance } from "./world/ledger.ts";
import type { Tally, World } from "./world/world.ts";

export interface Measures {
  messages: number;
  meanMs: number;
  p50Ms: number;
  p99Ms: number;
  p999Ms: number;
  maxMs: number;
  /** Completed without error between the warm-up and the last arrival. */
  goodputPerSecond: number;
  /** 1 − ½ Σ |share of the work − share of the capacity|. */
  efficiency: number;
  /** Jain's index of work over capacity; 1 is even. */
  jain: number;
  /** Completed messages by member. */
  shares: number[];
  /** Mean over the disturbances; null without one. */
  recoveryMs: number | null;
  flaps: number;
  duplicates: number;
  /** Attempts that a member rejected between the warm-up and the last arrival. */
  rejected: number;
  /** Given up after too many rejections; they are in no latency. */
  givenUp: number;
  /** Not completed a minute after the last arrival; they count in the latencies with what they have waited. */
  unfinished: number;
}

const windowMs = 250;
const recoveredBelow = 1.5;

export function measure(world: World): Measures {
  const { ledger, tallies, system, warmUpMs, endMs } = world;
  const latencies = latenciesOf(world, warmUpMs, endMs + 1);
  const done = tallies.reduce((sum, { completed }) => sum + completed, 0);
  return {
    messages: ledger.intendedMs.length,
    meanMs: latencies.reduce((sum, latencyMs) => sum + latencyMs, 0) / latencies.length,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    p999Ms: quantile(latencies, 0.999),
    maxMs: quantile(latencies, 1),
    goodputPerSecond: (done * 1_000) / (endMs - warmUpMs),
    efficiency: efficiency(tallies),
    jain: jain(tallies),
    shares: tallies.map(({ completed }) => completed / done),
    recoveryMs: recoveryMs(world),
    flaps: system.flaps,
    duplicates: ledger.duplicates,
    rejected: tallies.reduce((sum, { rejected }) => sum + rejected, 0),
    givenUp: ledger.givenUp,
    unfinished: ledger.outstanding,
  };
}

/** Sorted latencies of the messages intended from `fromMs` until before `toMs`, without those that were given up. */
function latenciesOf({ ledger, timeline }: World, fromMs: number, toMs: number): Float64Array {
  const { intendedMs, completedMs } = ledger;
  const latencies = new Float64Array(intendedMs.length);
  let count = 0;
  for (let id = firstFrom(intendedMs, fromMs); id < intendedMs.length; id++) {
    const beginMs = intendedMs[id] as number;
    if (beginMs >= toMs) break;
    if (ledger.isGivenUp(id)) continue;
    const endMs = completedMs[id] as number;
    latencies[count++] = (Number.isNaN(endMs) ? timeline.nowMs : endMs) - beginMs;
  }
  return latencies.subarray(0, count).sort();
}

/** Index of the first time that is not before `fromMs`. */
function firstFrom(timesMs: Float64Array, fromMs: number): number {
  let low = 0;
  let high = timesMs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((timesMs[middle] as number) < fromMs) low = middle + 1;
    else high = middle;
  }
  return low;
}

function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)] ?? Number.NaN;
}

function efficiency(tallies: readonly Tally[]): number {
  const done = tallies.reduce((sum, { completed }) => sum + completed, 0);
  const capacity = tallies.reduce((sum, { capacityMs }) => sum + capacityMs, 0);
  const apart = tallies.reduce(
    (sum, { completed, capacityMs }) => sum + Math.abs(completed / done - capacityMs / capacity),
    0,
  );
  return 1 - apart / 2;
}

function jain(tallies: readonly Tally[]): number {
  const used = tallies.filter(({ capacityMs }) => capacityMs > 0);
  const loads = used.map(({ completed, capacityMs }) => completed / capacityMs);
  const sum = loads.reduce((total, load) => total + load, 0);
  const squares = loads.reduce((total, load) => total + load ** 2, 0);
  return sum ** 2 / (loads.length * squares);
}

/** How long after the end of a disturbance until the p99 of a window is near what it was before the first one. */
function recoveryMs(world: World): number | null {
  const { disturbances } = world.ledger;
  const over = disturbances.filter(({ endMs }) => endMs + windowMs < world.endMs);
  const first = over[0];
  if (first === undefined) return null;
  const before = quantile(latenciesOf(world, world.warmUpMs, first.beginMs), 0.99);
  const times = over.map((disturbance) => recoveryOf(world, disturbance, before * recoveredBelow));
  return times.reduce((sum, timeMs) => sum + timeMs, 0) / times.length;
}

function recoveryOf(world: World, { endMs }: Disturbance, limitMs: number): number {
  let fromMs = endMs;
  while (fromMs + windowMs < world.endMs) {
    if (quantile(latenciesOf(world, fromMs, fromMs + windowMs), 0.99) <= limitMs) break;
    fromMs += windowMs;
  }
  return fromMs - endMs;
}
