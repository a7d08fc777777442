/** Fills a buffer as an outage would. Arguments: the directory, and how many ticks. */
import { systemClock } from "@equipoise/shared";
import { createBuffer } from "./buffer.ts";
import { venueTrade } from "./trade.ts";

const [directory = "", count = "0"] = process.argv.slice(2);
const buffer = createBuffer({ directory, clock: systemClock, maxBytes: 2 ** 40 });
await buffer.start();
for (let n = 1; n <= Number(count); n += 1) {
  if (!buffer.put(venueTrade(n, Date.now()))) await buffer.room();
}
await buffer.stop();
process.stdout.write('{"event":"filled"}\n');
