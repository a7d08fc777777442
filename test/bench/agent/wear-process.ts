/**
 * Ten minutes of 100 ticks a second through a buffer, in a few seconds: the clock is the simulation's, the disk is real.
 * Arguments: the directory, and `healthy` (each tick acknowledged 20 ms later) or `outage` (none).
 */

import { writtenBytes } from "../../../agent/src/telemetry/written.ts";
import { FakeClock } from "../../agent/support.ts";
import { createBuffer } from "./buffer.ts";
import { venueTrade } from "./trade.ts";

const [directory = "", link = ""] = process.argv.slice(2);
const ticks = 60_000;
const periodMs = 10;
const ticksPerSecond = 1_000 / periodMs;
const acknowledgedAfterTicks = 2;

const clock = new FakeClock();
const buffer = createBuffer({ directory, clock });
await buffer.start();
const before = writtenBytes() ?? 0;
const taken: number[] = [];
for (let n = 1; n <= ticks; n += 1) {
  buffer.put(venueTrade(n, clock.wallMs()));
  clock.advance(periodMs);
  const tick = link === "healthy" ? buffer.take() : undefined;
  if (tick !== undefined) taken.push(tick.position);
  const acknowledged = taken.length > acknowledgedAfterTicks ? taken.shift() : undefined;
  if (acknowledged !== undefined) buffer.settle(acknowledged);
  // The disk is given its time within each simulated second.
  if (n % ticksPerSecond === 0) await new Promise((resolve) => setTimeout(resolve, 3));
}
await buffer.stop();
process.stdout.write(
  `${JSON.stringify({ event: "measured", bytesPerTick: ((writtenBytes() ?? 0) - before) / ticks })}\n`,
);
