/** The agent's buffer and its power: `npm run soak` asks for 500 cuts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "tap";
import { judge } from "../agent/completeness.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { startCommand } from "../support/program.ts";

const cuts = Number(process.env.POWER_CUTS ?? 5);
const victim = new URL("./buffer-victim.ts", import.meta.url).pathname;

test(`${cuts} times kill -9: it starts again, no committed tick is lost, every missing number is told of`, async (t) => {
  const root = await temporaryDirectory(t);
  const sent = new Map<string, string[]>();
  const committed: string[] = [];
  for (let run = 1; run <= cuts + 1; run += 1) {
    const isLast = run > cuts;
    const log = join(root, `log-${run}`);
    const args = [victim, join(root, "data"), String(run), isLast ? "drain" : "feed", log];
    const child = startCommand(t, process.execPath, args);
    if (isLast) await child.exited;
    else {
      await child.line(({ text }) => text === "ready");
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 300));
      await child.stop("SIGKILL");
    }
    const texts = readFileSync(log, "utf8").split("\n");
    if (isLast) t.ok(texts.includes("drained"), child.stderr);
    let known = 0;
    for (const line of texts) {
      const [kind, symbol = "", payload = ""] = line.split(" ");
      if (kind === "C") known = Math.max(known, Number(symbol));
      if (kind !== "S" || !payload.endsWith("}")) continue;
      if (!sent.has(symbol)) sent.set(symbol, []);
      sent.get(symbol)?.push(payload);
    }
    for (let n = 1; n <= known; n += 1) committed.push(`${run}-${n}`);
  }
  const judged = [...sent.values()].map(judge);
  for (const { holes, usedTwice } of judged) t.same([holes, usedTwice], [[], []]);
  const evicted = judged.flatMap(({ gaps }) => gaps).filter(({ reason }) => reason === "evicted");
  const lost = committed.filter((tradeId) => !judged.some(({ tradeIds }) => tradeIds.has(tradeId)));
  const told = evicted.reduce((sum, { count }) => sum + (count ?? 0), 0);
  t.ok(
    lost.length <= told,
    `${lost.length} of ${committed.length} committed are not there, ${told} were evicted`,
  );
  t.ok(committed.length > cuts * 10, `${committed.length} committed`);
});
