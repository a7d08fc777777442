/** The agent's commands, its control socket and its HTTP endpoints, on real processes. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { test } from "tap";
import { parseCounters } from "../../agent/src/telemetry/network.ts";
import { parseThrottling } from "../../agent/src/telemetry/throttling.ts";
import { startBroker, temporaryDirectory } from "../support/broker.ts";
import { Program, startProgram } from "../support/program.ts";
import { mountSmallDisk } from "../support/small-disk.ts";
import type { Teardown } from "../support/teardown.ts";
import { counting, nowhere, startAgent, tradeLine } from "./support.ts";

const launcher = new URL("../../agent/bin/equipoise-agent.mjs", import.meta.url).pathname;

async function run(t: Teardown, ...args: string[]) {
  const program = startProgram(t, "agent", args);
  const { code } = await program.exited;
  return {
    code,
    lines: program.lines,
    stderr: program.stderr,
    text: program.lines.map(({ text }) => text).join("\n"),
  };
}

async function startFed(
  t: Teardown,
  ticks: number,
  ...args: string[]
): Promise<{ agent: Program; dataDir: string }> {
  const dataDir = await temporaryDirectory(t);
  const agent = startAgent(t, dataDir, nowhere, "--source", "stdin:", ...args);
  await agent.event("ready");
  for (const n of counting(1, ticks)) agent.child.stdin.write(tradeLine(n));
  await agent.line(({ event, read }) => event === "progress" && read === ticks);
  return { agent, dataDir };
}

/** What `buffer` shows then. */
async function restarted(t: Teardown, agent: Program, dataDir: string): Promise<string> {
  await agent.stop();
  await startAgent(t, dataDir, nowhere, "--source", "stdin:").event("ready");
  return (await run(t, "buffer", "--data-dir", dataDir)).text;
}

test("status, buffer and export show what the running agent has", async (t) => {
  const { agent, dataDir } = await startFed(t, 1_200);
  const where = ["--data-dir", dataDir];
  const status = await run(t, "status", ...where);
  t.match(status.text, /pi-7 {2}up .*\n.*no connection to a broker.* 0 reconnects\n.*1,200 wait/);
  const [buffer] = (await run(t, "buffer", "--json", ...where)).lines;
  t.match(buffer, { buffer: { ticks: 1_200 }, streams: [{ venue: "binance", symbol: "BTCUSDT" }] });
  const after = await restarted(t, agent, dataDir);
  t.match(after, /binance\/BTCUSDT {2}from 1 \(.*\) to 1,200 \(/, "also right after a start");
  const all = await run(t, "export", ...where);
  t.equal(all.code, 0);
  t.same(
    all.lines.map(({ seq }) => seq),
    counting(1, 1_200),
  );
  t.match(all.stderr, /1,200 records/);
  const none = await run(t, "export", ...where, "--from", "2031-01-01T00:00:00Z");
  t.same([none.code, none.lines], [0, []]);
  const exporter = startProgram(t, "agent", ["export", ...where]);
  exporter.child.stdout.destroy();
  t.equal((await exporter.exited).code, 0);
  t.notMatch(exporter.stderr, /EPIPE/, "a reader that has seen enough is a normal end");
  const unknown = await run(t, "export", ...where, "--stream", "kraken/X");
  t.equal(unknown.code, 2);
  t.match(unknown.stderr, /there is no stream kraken\/X; there are binance\/BTCUSDT/);
});

test("without a running agent the commands say so in one line", async (t) => {
  const { code, stderr } = await run(t, "status", "--data-dir", await temporaryDirectory(t));
  t.equal(code, 1);
  t.match(stderr, /^equipoise-agent status: EQ_CONTROL_UNREACHABLE: [^\n]*\n$/);
});

test("the doctor finds a good setting good, and asks the running agent instead of throwing it out", async (t) => {
  const { url } = await startBroker(t, { args: ["--durability", "memory"] });
  const dataDir = await temporaryDirectory(t);
  const flags = ["--agent-id", "pi-7", "--data-dir", dataDir, "--broker", url];
  const before = await run(t, "doctor", ...flags);
  t.equal(before.code, 0, before.text);
  t.match(before.text, /ok +broker +mqtt:.*accepts pi-7-doctor/);
  t.match(before.text, /ok +sqlite .*synchronous=FULL holds/);
  const agent = startAgent(t, dataDir, url, "--source", "stdin:");
  await agent.event("connected");
  const during = await run(t, "doctor", ...flags);
  t.match(during.text, /ok +broker +mqtt:.*the running agent is connected/);
  t.notOk(agent.lines.some(({ event }) => event === "disconnected"));
});

test("the doctor says what fails, as JSON too, with exit code 1", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const { code, lines } = await run(t, "doctor", "--json", "--data-dir", dataDir, "--broker", nowhere);
  t.equal(code, 1);
  const findings = JSON.parse(String(lines[0]?.text)) as { name: string; verdict: string; detail: string }[];
  t.match(
    findings.find(({ verdict }) => verdict === "fail"),
    { name: "broker", detail: `${nowhere}: EQ_BROKER_UNREACHABLE` },
  );
});

test("HTTP is off by default; with --http there are metrics, health, and readiness that knows of the broker", async (t) => {
  const { agent } = await startFed(t, 3, "--http", "127.0.0.1:0");
  const { http } = await agent.event("ready");
  const text = await (await fetch(`${http}/metrics`)).text();
  t.match(text, /^equipoise_source_ticks_total\{source="stdin:"\} 3$/m);
  t.match(text, /^equipoise_buffer_ticks 3$/m);
  t.match(text, /^equipoise_uplink_connected 0$/m);
  t.equal((await fetch(`${http}/healthz`)).status, 200);
  const ready = await fetch(`${http}/readyz`);
  t.same(
    [ready.status, await ready.json()],
    [503, { status: "unready", reason: "there is no connection to a broker" }],
  );
  const quiet = startAgent(t, await temporaryDirectory(t), nowhere, "--source", "stdin:");
  t.notHas(await quiet.event("ready"), { http: String });
});

test("a Pi's throttling bits and Linux' network counters are read as documented", (t) => {
  t.same(parseThrottling("50005\n"), {
    now: ["underVoltage", "throttled"],
    ever: ["underVoltage", "throttled"],
  });
  t.same(parseThrottling("0x80000"), { now: [], ever: ["softTemperatureLimit"] });
  const text = `Inter-|   Receive |  Transmit
 face |bytes    packets
    lo: 999 9 0 0 0 0 0 0 999 9 0 0 0 0 0 0
  eth0: 100 1 0 0 0 0 0 0 20 1 0 0 0 0 0 0
 wlan0: 5 1 0 0 0 0 0 0 6 1 0 0 0 0 0 0
`;
  t.same(parseCounters(text), { receivedBytes: 105, sentBytes: 26 });
  t.end();
});

test("the doctor knows what an earlier run has left: of another agent, of a newer version, damaged", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const agent = startAgent(t, dataDir, nowhere, "--source", "stdin:");
  await agent.event("ready");
  agent.child.stdin.write(tradeLine(1));
  await agent.line(({ buffered }) => buffered === 1);
  const path = join(dataDir, "buffer.db");
  const look = async (agentId: string) => {
    const flags = ["--agent-id", agentId, "--data-dir", dataDir, "--broker", nowhere];
    const { lines } = await run(t, "doctor", "--json", ...flags);
    const findings = JSON.parse(String(lines[0]?.text)) as {
      name: string;
      verdict: string;
      detail: string;
    }[];
    return findings.filter(({ name }) => name === "buffer" || name === "symbols");
  };
  t.match(await look("pi-7"), [{ verdict: "ok", detail: "in use by the running agent" }]);
  await agent.stop("SIGTERM");
  t.match(await look("pi-7"), [{ verdict: "ok", detail: "1 ticks wait in it" }]);
  t.match(await look("pi-8"), [{ verdict: "fail", detail: /^EQ_AGENT_ID_CHANGED.* 1 ticks of pi-7/ }]);
  const db = new Sqlite(path);
  db.pragma("user_version = 99");
  db.close();
  await writeFile(join(dataDir, "symbols.json"), "{");
  t.match(await look("pi-7"), [
    { verdict: "fail", detail: /^EQ_STORE_NEWER/ },
    { verdict: "fail", detail: /^EQ_CONFIG_UNREADABLE/ },
  ]);
  await writeFile(path, "no database".repeat(1_000));
  t.match((await look("pi-7"))[0], { verdict: "warn", detail: /set it aside/ });
});

test("what a command cannot print is one coded line and exit code 1, also when the disk takes only a part", async (t) => {
  const { dataDir } = await startFed(t, 1_200);
  const into = async (path: string, ...command: string[]) => {
    const script = `exec "$@" > '${path}'`;
    const args = [...command, "--data-dir", dataDir];
    const shell = new Program("sh", ["-c", script, "sh", process.execPath, launcher, ...args]);
    return { ...(await shell.exited), stderr: shell.stderr };
  };
  for (const command of ["status", "buffer", "export"]) {
    const { code, stderr } = await into("/dev/full", command);
    t.equal(code, 1);
    t.match(
      stderr,
      new RegExp(`^equipoise-agent ${command}: EQ_FILE_UNWRITABLE: standard output: ENOSPC`, "m"),
    );
    t.notMatch(stderr, /^ +at /m);
  }
  const disk = await mountSmallDisk(t, 1);
  if (disk === undefined) return;
  disk.fill(64 * 1_024);
  const { code, stderr } = await into(join(disk.path, "records"), "export");
  t.equal(code, 1);
  t.match(stderr, /EQ_FILE_UNWRITABLE: standard output: ENOSPC/);
});
