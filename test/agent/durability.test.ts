import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "tap";
import { temporaryDirectory } from "../support/broker.ts";
import { startCommand } from "../support/program.ts";
import { judge } from "./completeness.ts";
import { startReceivingBroker } from "./receiving-broker.ts";
import { asOwed, counting, nowhere, startAgent, tradeLine, tradeOf } from "./support.ts";

test("a process that is killed loses no committed tick, and the next continues its numbers", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const killed = startAgent(t, dataDir, nowhere, "--source", "stdin:");
  await killed.event("ready");
  killed.child.stdin.on("error", () => {}); // it is killed while we write
  let fed = 0;
  const feed = setInterval(() => {
    for (let n = 0; n < 50; n += 1)
      killed.child.stdin.write(tradeLine(fed++, fed % 2 === 0 ? "ETHUSDT" : "BTCUSDT"));
  }, 5);
  const progress = await killed.line(({ event, buffered }) => event === "progress" && Number(buffered) > 0);
  await killed.stop("SIGKILL");
  clearInterval(feed);

  const broker = await startReceivingBroker(t);
  const next = startAgent(t, dataDir, broker.url, "--source", "stdin:", "--once");
  next.child.stdin.end(tradeLine(1) + tradeLine(2, "ETHUSDT"));
  t.equal((await next.exited).code, 0);
  const epochs = new Set(broker.ticks.map(({ payload }) => tradeOf(payload).epoch));
  t.equal(epochs.size, 1, "the same epoch, provably");
  let trades = 0;
  for (const symbol of ["BTCUSDT", "ETHUSDT"]) {
    const own = broker.ticks.filter(({ topic }) => topic.includes(symbol)).map(({ payload }) => payload);
    const { holes, usedTwice, gaps, tradeIds } = judge(own);
    t.same([holes, usedTwice], [[], []], symbol);
    t.match(gaps, [{ reason: "crash", count: null }], "one gap record for what may have been lost");
    trades += tradeIds.size;
  }
  t.ok(trades >= Number(progress.buffered), `${trades} of ${progress.buffered}`);
});

test("a second agent on the same data directory is refused while the first runs", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const first = startAgent(t, dataDir, nowhere, "--source", "stdin:");
  await first.event("ready");
  const second = startAgent(t, dataDir, nowhere, "--source", "stdin:");
  t.equal((await second.exited).code, 1);
  t.match(second.stderr, /EQ_DATA_DIR_BUSY/);
  await first.stop("SIGKILL");
  const third = startAgent(t, dataDir, nowhere, "--source", "stdin:");
  t.ok(await third.event("ready"), "a killed process leaves no stale lock");
});

test("a full disk pauses the sources, is said once, and loses nothing when there is room again", async (t) => {
  const small = join(await temporaryDirectory(t), "small");
  await mkdir(small);
  // In a namespace of its own anybody may mount a file system, which makes a disk that is really full.
  const mount = ["-rm", "mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", small];
  if ((await startCommand(t, "unshare", mount).exited).code !== 0) {
    t.comment("SKIPPED: this system allows no mount in a namespace of its own");
    return;
  }
  const broker = await startReceivingBroker(t);
  broker.acknowledges = false;
  const script = `mount -t tmpfs -o size=8m tmpfs ${small} && head -c 7800k /dev/zero >${small}/ballast && exec "$@"`;
  const launcher = new URL("../../agent/bin/equipoise-agent.mjs", import.meta.url).pathname;
  const options = ["--agent-id", "pi-7", "--data-dir", join(small, "data"), "--broker", broker.url];
  const command = [
    process.execPath,
    launcher,
    ...options,
    "--source",
    "stdin:",
    "--once",
    "--progress-period-ms",
    "1000",
    "--buffer-min-free-disk-bytes",
    "0",
  ];
  const agent = startCommand(t, "unshare", ["-rm", "sh", "-c", script, "sh", ...command]);
  agent.child.stdin.end(
    counting(1, 20_000)
      .map((n) => tradeLine(n))
      .join(""),
  );

  t.match(await agent.event("bufferRefused"), { code: "EQ_STORE_FULL" });
  await agent.line(({ event, read, buffered }) => event === "progress" && Number(read) > Number(buffered));
  await rm(`/proc/${agent.child.pid}/root${small}/ballast`);
  for (const packet of broker.ticks) broker.connections[0]?.acknowledge(packet);
  broker.acknowledges = true;
  t.equal((await agent.exited).code, 0);
  t.match(agent.lines.at(-1), { event: "ended", read: 20_000, buffered: 20_000, acknowledged: 20_000 });
  t.equal(agent.lines.filter(({ event }) => event === "bufferRefused").length, 1);
  t.equal(agent.lines.filter(({ event }) => event === "bufferRecovered").length, 1);
  const seqs = broker.ticks.map(({ payload }) => tradeOf(payload).seq);
  t.same(asOwed(seqs, await agent.event("ended")), counting(1, 20_000));
});
