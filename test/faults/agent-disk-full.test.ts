/**
 * Ten minutes of feed without a broker, and the disk full for half of that time, as real processes. Played within four
 * seconds in `npm test`; `npm run soak` takes a minute for each, and more of them.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { type AgentHeartbeat, ControlClient } from "@equipoise/shared";
import { type Test, test } from "tap";
import { counting, nowhere, startAgent, tradeLine, until } from "../agent/support.ts";
import { readStreams, StreamLedger } from "../soak/stream-ledger.ts";
import { startBroker, type TestBroker, temporaryDirectory } from "../support/broker.ts";
import { mountSmallDisk, type SmallDisk } from "../support/small-disk.ts";
import { pause } from "../support/time.ts";

const feedMs = 600_000;
const playedMs = Number(process.env.DISK_FULL_MS ?? 4_000);
const ticks = 40_000;
const symbol = "BTCUSDT";

interface Case {
  whenFull: "block" | "dropOldest" | "dropNewest";
  /** 0: the disk itself refuses. */
  minFreeDiskBytes: number;
  leftBytes: number;
  state: AgentHeartbeat["buffer"]["state"];
}

const refused = { minFreeDiskBytes: 0, leftBytes: 0, state: "refused" } as const;
const full = { minFreeDiskBytes: 4 * 2 ** 20, leftBytes: 3 * 2 ** 20, state: "full" } as const;
const cases: Case[] = [
  { whenFull: "block", ...refused },
  { whenFull: "dropOldest", ...full },
  { whenFull: "dropNewest", ...refused },
];
const moreCases: Case[] = [
  { whenFull: "block", ...full },
  { whenFull: "dropOldest", ...refused },
  { whenFull: "dropNewest", ...full },
];

type Status = () => Promise<AgentHeartbeat>;

/** Trades evenly over ten minutes, with digits that compress badly. */
function writeRecording(path: string): void {
  const lines = Array.from({ length: ticks }, (_, n) => {
    const timeMs = 1_723_161_254_000 + Math.floor((n * feedMs) / ticks);
    const digits = Math.random().toFixed(16).slice(2);
    const fields = `"e":"trade","E":${timeMs},"s":"${symbol}","t":${n + 1},"p":"61837.${digits}","q":"0.${digits}","T":${timeMs},"m":true`;
    return `${timeMs}000000 {"stream":"btcusdt@trade","data":{${fields}}}\n`;
  });
  writeFileSync(path, lines.join(""));
}

/** Every tick is there or told of, and so is every number. */
function account(ledger: StreamLedger): { read: number; told: number; holes: number[]; usedTwice: number[] } {
  const [judgement] = ledger.judged().values();
  if (judgement === undefined) return { read: 0, told: 0, holes: [], usedTwice: [] };
  const { tradeIds, gaps, holes, usedTwice } = judgement;
  return {
    read: tradeIds.size,
    told: gaps.reduce((sum, { count }) => sum + (count ?? 0), 0),
    holes,
    usedTwice,
  };
}

/** The broker goes, then the disk, which comes back first. @returns what the agent said of its buffer meanwhile */
async function outage(t: Test, broker: TestBroker, disk: SmallDisk, leftBytes: number, status: Status) {
  // By what was read: on a busy machine the feed may be far when the agent is connected, or is asked.
  const untilRead = (share: number) =>
    until(async () => ((await status()).sources[0]?.ticks ?? 0) >= ticks * share);
  await untilRead(0.05);
  await broker.program.stop("SIGKILL");
  await untilRead(0.25);
  disk.fill(leftBytes);
  const states = new Set<string>();
  for (const endMs = performance.now() + playedMs * 0.5; performance.now() < endMs; ) {
    states.add((await status()).buffer.state);
    await pause(50);
  }
  const { ticks: waiting, lost } = (await status()).buffer;
  disk.free();
  await pause(playedMs * 0.1);
  await startBroker(t, { dataDir: broker.dataDir, port: broker.port });
  return { states, words: `${waiting} waited at the worst, ${lost} lost by then` };
}

async function run(t: Test, { whenFull, minFreeDiskBytes, leftBytes, state }: Case): Promise<void> {
  const disk = await mountSmallDisk(t, 12);
  if (disk === undefined) return void t.pass("SKIPPED: a small disk cannot be mounted; that needs root");
  const recording = join(await temporaryDirectory(t), "recording");
  writeRecording(recording);
  const broker = await startBroker(t);
  const ledger = new StreamLedger();
  await readStreams(t, broker.url, ledger);
  const dataDir = join(disk.path, "agent");
  const bounds = ["--buffer-when-full", whenFull, "--buffer-min-free-disk-bytes", String(minFreeDiskBytes)];
  const pace = ["--speed", String(feedMs / playedMs), "--uplink-max-backoff-ms", "500"];
  const agent = startAgent(t, dataDir, broker.url, "--source", `file:${recording}`, ...bounds, ...pace);
  const control = new ControlClient("agent", { "data-dir": dataDir }, {});
  const status: Status = () => control.ask("GET", "/status");
  await agent.event("connected");
  const { states, words } = await outage(t, broker, disk, leftBytes, status);
  const isOver = async (): Promise<boolean> => {
    await pause(200);
    const { buffer, sources } = await status();
    const { read, told } = account(ledger);
    return buffer.ticks === 0 && sources[0]?.state === "ended" && read + told >= ticks;
  };
  await until(isOver, Number.POSITIVE_INFINITY);
  const { read, told, holes, usedTwice } = account(ledger);
  t.same([read + told, holes, usedTwice], [ticks, [], []], `${read} read, ${told} told of as given up`);
  if (whenFull === "block") t.equal(told, 0, "who waits loses nothing");
  else t.ok(told > 0, "some had to go");
  t.ok(states.has(state), `its status was ${[...states]}`);
  t.match(await status(), { buffer: { state: "open", lost: told }, sources: [{ ticks, skipped: 0 }] });
  const said = agent.lines.filter(({ level }) => Number(level) >= 40).map(({ event }) => event);
  t.ok(said.length < 40, `${said.length} warnings`);
  t.comment(`${whenFull}, ${state}: ${words}; ${read} read, ${told} told of; warnings ${said.join(" ")}`);
  t.equal(await agent.stop("SIGTERM"), 0);
}

const isLong = process.env.DISK_FULL_MS !== undefined;
for (const one of isLong ? [...cases, ...moreCases] : cases) {
  const name = `${one.whenFull}, ${one.state}: ten minutes without a broker and with a full disk, every tick is there or told of`;
  test(name, { timeout: 3 * playedMs + 150_000 }, (t) => run(t, one));
}

test("an agent starts on a full disk, and what waits there goes out", async (t) => {
  const disk = await mountSmallDisk(t, 8);
  if (disk === undefined) return void t.pass("SKIPPED: a small disk cannot be mounted; that needs root");
  const dataDir = join(disk.path, "agent");
  const args = ["--source", "stdin:", "--buffer-min-free-disk-bytes", "0"];
  const before = startAgent(t, dataDir, nowhere, ...args);
  await before.event("ready");
  for (const n of counting(1, 2_000)) before.child.stdin.write(tradeLine(n));
  await before.line(({ buffered }) => buffered === 2_000);
  t.equal(await before.stop("SIGTERM"), 0);
  disk.fill(0);
  const broker = await startBroker(t);
  const ledger = new StreamLedger();
  await readStreams(t, broker.url, ledger);
  const agent = startAgent(t, dataDir, broker.url, ...args);
  await until(() => ledger.records >= 2_000);
  disk.free();
  await agent.line(({ event, waiting }) => event === "progress" && waiting === 0);
  t.equal(await agent.stop("SIGTERM"), 0);
  t.same(
    [...ledger.judged().values()].map(({ holes, gaps, tradeIds }) => [holes, gaps, tradeIds.size]),
    [[[], [], 2_000]],
  );
});

test("with less of the disk free than is to be left, all that comes goes on to a broker that is there", async (t) => {
  const { minFreeDiskBytes, leftBytes } = full;
  const disk = await mountSmallDisk(t, 12);
  if (disk === undefined) return void t.pass("SKIPPED: a small disk cannot be mounted; that needs root");
  const dataDir = join(disk.path, "agent");
  const broker = await startBroker(t);
  const ledger = new StreamLedger();
  await readStreams(t, broker.url, ledger);
  const args = ["--source", "stdin:", "--buffer-min-free-disk-bytes", String(minFreeDiskBytes)];
  const agent = startAgent(t, dataDir, broker.url, ...args);
  const control = new ControlClient("agent", { "data-dir": dataDir }, {});
  await agent.event("connected");
  let fed = 0;
  const feed = async (count: number): Promise<void> => {
    for (const n of counting(fed + 1, fed + count)) agent.child.stdin.write(tradeLine(n));
    fed += count;
    await until(() => ledger.records >= fed);
  };
  await feed(1_000);
  disk.fill(leftBytes);
  for (let n = 0; n < 20; n += 1) await feed(1_000);
  t.match(await control.ask("GET", "/status"), { buffer: { state: "full", lost: 0 } });
  const said = agent.lines.filter(({ event }) => String(event).startsWith("buffer"));
  t.same(
    said.map(({ event }) => event),
    ["bufferFull"],
  );
  t.equal(await agent.stop("SIGTERM"), 0);
  disk.free();
  const again = startAgent(t, dataDir, broker.url, ...args);
  await again.event("connected");
  again.child.stdin.write(tradeLine(fed + 1));
  await until(() => ledger.records > fed);
  t.same(
    [...ledger.judged().values()].map(({ holes, gaps, tradeIds }) => [holes, gaps, tradeIds.size]),
    [[[], [], fed + 1]],
  );
});
