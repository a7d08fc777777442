import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ErrorCode } from "@equipoise/shared";
import { type BalancingRules, decodeBalancing, encodeBalancing } from "@equipoise/shared/balancing";
import { test } from "tap";
import { balancing as command } from "../../broker/src/commands/balancing.ts";
import { startBroker, type TestBroker, temporaryDirectory } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import { type Line, startProgram } from "../support/program.ts";

type Test = Parameters<typeof MqttClient.connect>[0];

const launcher = fileURLToPath(new URL("../../broker/bin/equipoise-broker.mjs", import.meta.url));
const page = readFileSync(new URL("../../docs/balancing-schema.md", import.meta.url), "utf8");
const pricing = JSON.stringify([{ name: "pricing", filters: ["ticks/#"], weights: { "m-2": 5 } }]);

/** Runs a command line of the broker in a shell. */
function shell(commandLine: string, cwd: string): { status: number | null; stdout: Buffer; stderr: string } {
  const { NODE_OPTIONS: _, ...inherited } = process.env;
  const env = { ...inherited, NODE: process.execPath, LAUNCHER: launcher };
  const line = commandLine.replace("npx equipoise-broker", '"$NODE" "$LAUNCHER"');
  const { status, stdout, stderr } = spawnSync("sh", ["-c", line], { cwd, env, timeout: 60_000 });
  return { status, stdout, stderr: stderr.toString() };
}

/** A directory with a broker's data directory in it, as in the examples. */
async function start(t: Test, args: readonly string[] = []): Promise<TestBroker & { cwd: string }> {
  const cwd = await temporaryDirectory(t);
  const dataDir = join(cwd, "data/broker");
  mkdirSync(dataDir, { recursive: true });
  return { ...(await startBroker(t, { dataDir, args: ["--pools", pricing, ...args] })), cwd };
}

function balancing(cwd: string, args: string) {
  return shell(`npx equipoise-broker balancing ${args} --data-dir ./data/broker`, cwd);
}

const shown = (cwd: string, pool: string): BalancingRules =>
  decodeBalancing(balancing(cwd, `show ${pool}`).stdout);

async function join3(t: Test, port: number, ...pools: string[]): Promise<MqttClient[]> {
  const members: MqttClient[] = [];
  for (const clientId of ["m-1", "m-2", "m-3"]) {
    const member = await MqttClient.connect(t, port, clientId);
    for (const pool of pools) await member.subscribe(`$share/${pool}/ticks/#`);
    members.push(member);
  }
  return members;
}

function write(path: string, rules: BalancingRules, format: "json" | "binary" = "json"): void {
  writeFileSync(path, encodeBalancing(rules, format));
}

test("the example of docs/balancing-schema.md does what the page says", async (t) => {
  const { port, cwd } = await start(t);
  await join3(t, port, "pricing");
  const [applied = "", shownThen = ""] = Array.from(page.matchAll(/```json\n(.*?)```/gs), ([, text]) => text);
  writeFileSync(join(cwd, "pricing.json"), applied);
  const commands = page.match(/^npx equipoise-broker balancing .*$/gm) ?? [];
  t.equal(commands.length, 4);
  for (const commandLine of commands) {
    const { status, stdout, stderr } = shell(commandLine, cwd);
    t.equal(status, 0, stderr);
    if (commandLine.includes("show pricing --data-dir"))
      t.same(JSON.parse(stdout.toString()), JSON.parse(shownThen));
  }
  t.same(decodeBalancing(readFileSync(join(cwd, "pricing.bin"))), decodeBalancing(Buffer.from(shownThen)));
});

test("an applied UNHEALTHY takes a member out, HEALTHY leaves it to the checker again", async (t) => {
  const { port, cwd } = await start(t);
  const [first, , third] = await join3(t, port, "pricing");
  const publisher = await MqttClient.connect(t, port, "publisher");
  const say = (health: "HEALTHY" | "UNHEALTHY"): void => {
    const members = ["m-1", "m-2"].map((clientId) => ({ clientId, health }));
    write(join(cwd, "rules"), { pool: "pricing", members }, "binary");
    t.equal(balancing(cwd, "apply rules").status, 0);
  };
  say("UNHEALTHY");
  for (let number = 0; number < 6; number++) await publisher.publish("ticks/a", `m${number}`);
  for (let number = 0; number < 6; number++) t.equal(await third?.receive(), `m${number}`);
  say("HEALTHY");
  write(join(cwd, "rules"), { pool: "pricing", members: [{ clientId: "m-3", health: "UNHEALTHY" }] });
  t.equal(balancing(cwd, "apply rules").status, 0);
  const { members } = shown(cwd, "pricing");
  t.same(
    members.map(({ health }) => health),
    ["HEALTHY", "HEALTHY", "UNHEALTHY"],
  );
  await publisher.publish("ticks/a", "one");
  await publisher.publish("ticks/a", "two");
  t.ok(await first?.receive(), "it gets messages again");
});

test("what cannot be applied or shown is one clear line, and changes nothing", async (t) => {
  const { cwd, dataDir } = await start(t);
  const before = shown(cwd, "pricing");
  const path = (name: string): string => join(cwd, name);
  writeFileSync(path("unknown"), '{"serviceName":"pricing","strategy":"WEIGHTED","wait":1}');
  write(path("other"), { pool: "nobody", members: [] });
  const cases: [args: string[], said: RegExp, code: ErrorCode][] = [
    [["apply", path("none")], /none: ENOENT/, "EQ_CONFIG_BALANCING"],
    [["apply", cwd], /EISDIR/, "EQ_CONFIG_BALANCING"],
    [["apply", path("unknown"), "--format", "binary"], /unknown: premature EOF/, "EQ_CONFIG_BALANCING"],
    [["apply", "/dev/zero"], /\/dev\/zero: more than 1048576 bytes/, "EQ_CONFIG_BALANCING"],
    [["apply", path("other")], /there is no pool nobody/, "EQ_CONTROL_REFUSED"],
    [["show", "nobody"], /there is no pool nobody/, "EQ_CONTROL_REFUSED"],
    [["show", "pricing", "--out", cwd], /--out: EISDIR/, "EQ_FILE_UNWRITABLE"],
    [["show", "pricing", "--format", "yaml"], /--format is yaml, must be one of json, binary/, "EQ_USAGE"],
    [["apply", path("other"), "--out", "x"], /--out is for show/, "EQ_USAGE"],
    [["show"], /balancing show: it is balancing show POOL, or apply FILE/, "EQ_USAGE"],
    [["look", "pricing"], /look is not one of show, apply/, "EQ_USAGE"],
  ];
  for (const [args, message, code] of cases)
    await t.rejects(command.run([...args, "--data-dir", dataDir], {}), { message, code }, args.join(" "));
  const { status, stderr } = balancing(cwd, "apply unknown");
  t.match(stderr, /^equipoise-broker balancing: EQ_CONFIG_BALANCING: unknown: .*"wait" is unknown.*\n$/);
  t.equal(stderr.trim().split("\n").length, 1, "one line");
  t.equal(status, 2);
  t.same(shown(cwd, "pricing"), before);
});

test("a balancing file goes before the configuration, and holds for a pool that comes later", async (t) => {
  const directory = await temporaryDirectory(t);
  const [declared, later] = [join(directory, "declared"), join(directory, "later")];
  const weights = [{ clientId: "m-1", weight: 3 }];
  write(declared, { pool: "pricing", strategy: "weighted", members: weights });
  const ill: BalancingRules["members"] = [{ clientId: "m-3", health: "DEGRADED" }];
  write(later, { pool: "late", strategy: "round_robin", members: ill }, "binary");
  const args = [declared, later].flatMap((path) => ["--balancing-files", path]);
  const { port, cwd } = await start(t, args);
  await join3(t, port, "pricing", "late");
  const healthy = "HEALTHY";
  t.same(shown(cwd, "pricing"), {
    pool: "pricing",
    strategy: "weighted",
    members: [
      { clientId: "m-1", weight: 3, health: healthy },
      { clientId: "m-2", weight: 5, health: healthy },
      { clientId: "m-3", weight: 1, health: healthy },
    ],
  });
  t.match(shown(cwd, "late"), { strategy: "round_robin", members: [{}, {}, { health: "DEGRADED" }] });
});

/** Sends SIGHUP and waits for the event that says how it went. */
async function reload({ program }: TestBroker, event: string): Promise<Line> {
  const before = program.lines.length;
  program.child.kill("SIGHUP");
  return await program.line((line) => line.event === event && program.lines.indexOf(line) >= before);
}

test("SIGHUP brings what has changed in the files, and only that; a broken file changes nothing", async (t) => {
  const directory = await temporaryDirectory(t);
  const [one, two] = [join(directory, "one"), join(directory, "two")];
  const weighing = (weight: number): BalancingRules["members"] => [{ clientId: "m-1", weight }];
  write(one, { pool: "pricing", strategy: "weighted", members: weighing(3) });
  write(two, { pool: "late", strategy: "weighted", members: weighing(3) });
  const args = [one, two].flatMap((path) => ["--balancing-files", path]);
  const broker = await start(t, args);
  const { cwd } = broker;
  await join3(t, broker.port, "pricing", "late");
  const tuned = join(directory, "tuned");
  write(tuned, { pool: "late", strategy: "least_connections", members: [] });
  t.equal(balancing(cwd, `apply ${tuned}`).status, 0);
  write(one, { pool: "pricing", members: [{ clientId: "m-2", health: "DEGRADED" }] });
  t.match(await reload(broker, "balancing.loaded"), { files: 2, changed: 1 });
  const after: BalancingRules = {
    pool: "pricing",
    strategy: "performance_based",
    members: [
      { clientId: "m-1", weight: 1, health: "HEALTHY" },
      { clientId: "m-2", weight: 5, health: "DEGRADED" },
      { clientId: "m-3", weight: 1, health: "HEALTHY" },
    ],
  };
  t.same(shown(cwd, "pricing"), after, "as the configuration and the file say now");
  t.equal(shown(cwd, "late").strategy, "least_connections", "its file is as it was");
  write(one, { pool: "pricing", strategy: "round_robin", members: [] });
  writeFileSync(two, '{"serviceName":""}');
  const failed = await reload(broker, "reload.failed");
  t.match(failed, { code: "EQ_CONFIG_BALANCING", detail: /two: serviceName: must have/ });
  t.same(shown(cwd, "pricing"), after);
});

test("a broker does not start with a balancing file that is broken, missing or the second of a pool", async (t) => {
  const directory = await temporaryDirectory(t);
  const good = join(directory, "good");
  const bad = join(directory, "bad");
  write(good, { pool: "pricing", members: [] });
  writeFileSync(bad, '{"serviceName":"p","instances":[{"instanceId":"a","weight":-1}]}');
  const cases: [files: string[], said: RegExp][] = [
    [[good, bad], /EQ_CONFIG_BALANCING: .*bad: instances\[0\]\.weight: must be/],
    [[join(directory, "none")], /EQ_CONFIG_BALANCING: .*none: ENOENT/],
    [[good, good], /EQ_CONFIG_BALANCING: .*good: another .* pool pricing/],
  ];
  for (const [files, said] of cases) {
    const args = files.flatMap((path) => ["--balancing-files", path]);
    const program = startProgram(t, "broker", [
      ...["--durability", "memory", "--listen", "mqtt://127.0.0.1:0"],
      ...args,
    ]);
    const { code } = await program.exited;
    t.equal(code, 2);
    t.match(program.stderr, said);
    t.equal(program.stderr.trim().split("\n").length, 1, "one line");
  }
});
