/**
 * An outage, then a full disk, the broker back before it, and the agent ended meanwhile: what it had is there or told of
 * after the next start, no number is used twice, and its last words say how many ticks are lost. `npm run soak` plays more.
 */
import { join } from "node:path";
import { type Test, test } from "tap";
import { judge } from "../agent/completeness.ts";
import { counting, startAgent, tradeLine, until } from "../agent/support.ts";
import { readStreams, StreamLedger } from "../soak/stream-ledger.ts";
import { startBroker } from "../support/broker.ts";
import type { Program } from "../support/program.ts";
import { mountSmallDisk } from "../support/small-disk.ts";
import { pause } from "../support/time.ts";

interface Case {
  whenFull: "block" | "dropOldest" | "dropNewest";
  signal: "SIGTERM" | "SIGKILL";
  brokerReturns: boolean;
}

function feed({ child }: Program, from: number, to: number): void {
  child.stdin.on("error", () => {}); // it is ended while it reads
  child.stdin.write(
    counting(from, to)
      .map((n) => tradeLine(n))
      .join(""),
  );
}

/** Of what the agent has read, when its words tell. */
function lastWords(agent: Program): { read: number; lost: number } {
  const ended = agent.lines.findLast(({ event }) => event === "ended");
  const [, lost = "0"] = /EQ_TICKS_UNSTORED: (\d+) ticks were in memory alone/.exec(agent.stderr) ?? [];
  return { read: Number(ended?.read), lost: Number(lost) };
}

async function run(t: Test, { whenFull, signal, brokerReturns }: Case): Promise<void> {
  const disk = await mountSmallDisk(t, 12);
  if (disk === undefined) return void t.pass("SKIPPED: a small disk cannot be mounted; that needs root");
  const broker = await startBroker(t);
  const ledger = new StreamLedger();
  await readStreams(t, broker.url, ledger);
  await broker.program.stop("SIGKILL");
  const args = ["--buffer-when-full", whenFull, "--buffer-min-free-disk-bytes", "0"];
  const more = ["--source", "stdin:", "--uplink-max-backoff-ms", "200"];
  const dataDir = join(disk.path, "agent");
  const agent = startAgent(t, dataDir, broker.url, ...more, ...args);
  await agent.event("ready");
  feed(agent, 1, 3_000);
  await agent.line(({ buffered }) => buffered === 3_000);
  disk.fill(0);
  feed(agent, 3_001, 9_000);
  await agent.event("bufferRefused");
  const back = { dataDir: broker.dataDir, port: broker.port };
  if (brokerReturns) {
    await startBroker(t, back);
    await until(() => ledger.records >= 3_000);
  }
  feed(agent, 9_001, 9_500);
  await pause(1_500); // it tries the disk again, and goes on reading where it may
  const code = await agent.stop(signal);
  const { read, lost } = lastWords(agent);
  disk.free();
  if (!brokerReturns) await startBroker(t, back);
  const again = startAgent(t, dataDir, broker.url, ...more, ...args);
  await again.event("connected");
  feed(again, 20_001, 20_001);
  const judged = () => [...ledger.judged().values()][0];
  await until(() => judged()?.tradeIds.has("20001") === true);
  await again.line(({ event, waiting }) => event === "progress" && waiting === 0);
  t.equal(await again.stop("SIGTERM"), 0);
  const { holes, usedTwice, gaps, tradeIds } = judged() ?? judge([]);
  t.same([holes, usedTwice], [[], []]);
  t.ok(tradeIds.size > 3_000, `${tradeIds.size} read`);
  if (signal === "SIGKILL")
    return void t.ok(gaps.every(({ reason }) => reason === "crash" || reason === "evicted"));
  const told = gaps.reduce((sum, { count }) => sum + (count ?? Number.NaN), 0);
  t.equal(tradeIds.size - 1 + told, read, `${told} told of, of them ${lost} by the last words`);
  t.equal(code, lost === 0 ? 0 : 1, agent.stderr);
  if (!brokerReturns) t.ok(lost > 0 && told >= lost);
  t.notMatch(agent.stderr, /EQ_STORE_FULL/);
}

const cases: Case[] = [
  { whenFull: "dropOldest", signal: "SIGKILL", brokerReturns: true },
  { whenFull: "dropNewest", signal: "SIGTERM", brokerReturns: false },
];
const moreCases: Case[] = [
  { whenFull: "dropOldest", signal: "SIGTERM", brokerReturns: true },
  { whenFull: "dropNewest", signal: "SIGTERM", brokerReturns: true },
  { whenFull: "dropNewest", signal: "SIGKILL", brokerReturns: true },
  { whenFull: "block", signal: "SIGTERM", brokerReturns: true },
  { whenFull: "block", signal: "SIGKILL", brokerReturns: true },
];

const isLong = process.env.DISK_FULL_MS !== undefined;
for (const one of isLong ? [...cases, ...moreCases] : cases) {
  const { whenFull, signal, brokerReturns } = one;
  const name = `${whenFull}, ${signal} on a full disk, the broker ${brokerReturns ? "back" : "away"}: every number is there or told of`;
  test(name, (t) => run(t, one));
}
