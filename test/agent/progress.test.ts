/** Regression: a line each second, also of an idle agent, wrote 27 MB a day to the SD card. */
import { test } from "tap";
import { type Counts, Progress } from "../../agent/src/progress.ts";
import { FakeClock, recordedLog } from "./support.ts";

test("progress is a line for each period in which something moved, one when it has stopped, and then none", (t) => {
  const clock = new FakeClock();
  const { logger, lines } = recordedLog();
  const none = { skipped: 0, gaps: 0, buffered: 0, published: 0, repeated: 0, waiting: 0 };
  let counts: Counts = { ...none, read: 0, acknowledged: 0 };
  const progress = new Progress({ periodMs: 60_000, clock, logger, count: () => counts, done: () => null });
  progress.start();
  clock.advance(3_600_000);
  t.same(lines, [], "an agent without ticks says nothing");
  counts = { ...counts, read: 600, acknowledged: 600 };
  for (let minute = 0; minute < 60; minute += 1) clock.advance(60_000);
  t.match(lines, [
    { event: "progress", read: 600, ticksPerSecond: 10 },
    { event: "progress", read: 600, ticksPerSecond: 0 },
  ]);
  counts = { ...counts, skipped: 1 };
  clock.advance(60_000);
  t.match(lines.slice(2), [{ event: "progress", skipped: 1 }]);
  progress.stop();
  t.match(lines.at(-1), { event: "ended", read: 600 });
  t.end();
});
