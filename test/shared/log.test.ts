import { test } from "tap";
import { createLogger, readable } from "../../shared/src/log.ts";
import { startCommand } from "../support/program.ts";

test("on a terminal a line of the log is time, level, message and fields", (t) => {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(readable(line)) };
  const logger = createLogger({ name: "equipoise-agent", level: "info", stream });
  logger.warn({ event: "sourceDropped", source: "tcp: x", dropped: null, list: [1] }, "two words");
  t.match(
    lines[0],
    /^\d{4}-\d\d-\d\dT[\d:.]+Z WARN {2}two words event=sourceDropped source="tcp: x" dropped=null list=\[1\]\n$/,
  );
  t.end();
});

test("elsewhere it is JSON", async (t) => {
  const program = `import { createLogger } from "${new URL("../../shared/src/log.ts", import.meta.url)}";
    createLogger({ name: "x", level: "info" }).info({ event: "ready" }, "ready");`;
  const child = startCommand(t, process.execPath, ["--input-type=module", "-e", program]);
  t.match(await child.event("ready"), { level: 30, name: "x", msg: "ready" });
  await child.exited;
});
