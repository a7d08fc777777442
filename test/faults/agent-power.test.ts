/** The agent's buffer and its power: `npm run soak` asks for 500 cuts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "tap";
import { temporaryDirectory } from "../support/broker.ts";
import { startCommand } from "../support/program.ts";
import { between } from "../support/random.ts";
import { pause, until } from "../support/time.ts";
import { BufferLedger } from "./buffer-ledger.ts";

const cuts = Number(process.env.POWER_CUTS ?? 5);
const victim = new URL("./buffer-victim.ts", import.meta.url).pathname;

test(`${cuts} times kill -9: it starts again, no committed tick is lost, every missing number is told of`, async (t) => {
  const root = await temporaryDirectory(t);
  const ledger = new BufferLedger();
  for (let run = 1; run <= cuts + 1; run += 1) {
    const isLast = run > cuts;
    const log = join(root, `log-${run}`);
    const args = [victim, join(root, "data"), String(run), isLast ? "drain" : "feed", log];
    const child = startCommand(t, process.execPath, args);
    if (isLast) await child.exited;
    else {
      await child.line(({ text }) => text === "ready");
      // The first cut may come before anything is committed.
      if (run > 1) await until(() => /^C .*;$/m.test(readFileSync(log, "utf8")));
      await pause(between(0, 300));
      await child.stop("SIGKILL");
    }
    const texts = readFileSync(log, "utf8").split("\n");
    if (isLast) t.ok(texts.includes("drained"), child.stderr);
    for (const line of texts) {
      const [kind, symbol = "", text = "", to = ""] = line.split(" ");
      if (kind === "C" && line.endsWith(";")) ledger.committed(symbol, Number(text), Number.parseInt(to, 10));
      if (kind === "S" && text.endsWith("}")) ledger.sent(symbol, text, run);
    }
  }
  t.same(ledger.faults(), []);
  t.ok(ledger.size > cuts * 10, `${ledger.size} committed`);
});
