import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "tap";
import { commands as agentCommands } from "../../agent/src/commands/index.ts";
import { commands as brokerCommands } from "../../broker/src/commands/index.ts";
import { startBroker, temporaryDirectory } from "../support/broker.ts";
import { startCommand, startProgram } from "../support/program.ts";

const memory = ["--durability", "memory"];

/** Runs the broker to its end, which must come by itself. */
async function refused(t: Parameters<typeof startProgram>[0], args: readonly string[], env = {}) {
  const program = startProgram(t, "broker", args, env);
  const { code } = await program.exited;
  const lines = program.stderr.trim().split("\n");
  return { code, lines, message: lines[0] ?? "" };
}

test("what is wrong with the surroundings is said in one line that names it and the remedy", async (t) => {
  const { url } = await startBroker(t);
  const directory = await temporaryDirectory(t);
  const file = join(directory, "file");
  writeFileSync(file, "");
  const cases: [args: string[], message: RegExp, code: number][] = [
    [[...memory, "--listen", url], /EQ_PORT_IN_USE: --listen .*127\.0\.0\.1/, 1],
    [
      ["--listen", "mqtt://127.0.0.1:0", "--data-dir", join(file, "below")],
      /EQ_DATA_DIR_UNUSABLE.*--data-dir/,
      1,
    ],
    [[...memory, "--listen", "mqtt://0.0.0.0:0"], /EQ_ANONYMOUS_REFUSED.*0\.0\.0\.0/, 1],
    [["--config", join(directory, "none.yaml")], /EQ_CONFIG_UNREADABLE.*none\.yaml/, 2],
    [["--bogus"], /EQ_USAGE.*--bogus.*--help/, 2],
    [["--limits-max-connections", "many"], /EQ_CONFIG_BAD_VALUE.*limits\.maxConnections.*"many"/, 2],
  ];
  for (const [args, message, code] of cases) {
    const result = await refused(t, args);
    t.match(result.message, message);
    t.equal(result.lines.length, 1, "no stack trace");
    t.equal(result.code, code);
  }
});

test("--help names every command, and a wrong one is told which was perhaps meant", async (t) => {
  for (const [program, commands] of [
    ["broker", brokerCommands],
    ["agent", agentCommands],
  ] as const) {
    const help = startProgram(t, program, ["--help"]);
    await help.exited;
    const text = help.lines.map((line) => String(line.text)).join("\n");
    for (const [name, { summary }] of Object.entries(commands)) {
      t.match(text, new RegExp(`^ {2}${name} +${summary}$`, "m"));
    }
    const [name = ""] = Object.keys(commands);
    const wrong = startProgram(t, program, [`${name}x`]);
    t.equal((await wrong.exited).code, 2);
    t.match(wrong.stderr, new RegExp(`EQ_USAGE.*'${name}x', did you mean ${name}\\?`));
  }
});

test("two brokers on one data directory: the second is refused, the first goes on", async (t) => {
  const first = await startBroker(t);
  const { message, code } = await refused(t, ["--listen", "mqtt://127.0.0.1:0", "--data-dir", first.dataDir]);
  t.match(message, /EQ_DATA_DIR_BUSY/);
  t.equal(code, 1);
  t.equal(first.program.child.exitCode, null);
});

test("a launcher under a Node that is too old says what to do and runs nothing", async (t) => {
  const launcher = fileURLToPath(new URL("../../shared/bin/launcher.mjs", import.meta.url));
  const script = `
    Object.defineProperty(process.versions, "node", { value: "20.20.2" });
    const { requireNode } = await import(${JSON.stringify(launcher)});
    requireNode("equipoise-broker");
    console.log("went on");
  `;
  const done = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
  t.equal(done.status, 69);
  t.match(
    done.stderr,
    /equipoise-broker: needs Node 22\.18 or newer, this is 20\.20\.2.*npx equipoise-broker/,
  );
  t.equal(done.stdout, "");
});

test("every program says which variables have no effect, and goes on", async (t) => {
  const directory = await temporaryDirectory(t);
  const file = join(directory, "file");
  writeFileSync(file, "");
  const env = { EQUIPOISE_LOGLEVEL: "debug" };
  const starts: [Parameters<typeof startProgram>[1], string[], RegExp][] = [
    ["broker", ["--data-dir", join(file, "below")], /EQ_DATA_DIR_UNUSABLE/],
    ["agent", ["--data-dir", directory, "--source", `file:${directory}/none`], /EQ_SOURCE_UNREADABLE/],
    ["consume", ["--ca-file", join(directory, "none")], /EQ_TLS_UNUSABLE/],
  ];
  for (const [name, args, end] of starts) {
    const program = startProgram(t, name, args, env);
    await program.exited;
    const [said = "", ended = ""] = program.stderr.trim().split("\n");
    t.match(said, /^equipoise-\w+: the variable EQUIPOISE_LOGLEVEL is no setting and has no effect/, name);
    t.match(ended, end);
  }
});

test("where SQLite has no binary every program says so in one line with its code, and what works without it works", async (t) => {
  const directory = await temporaryDirectory(t);
  const run = async (name: string, ...args: string[]) => {
    const folder = name === "consume" ? "shared/src/client" : `${name}/src`;
    const script = `
      Object.defineProperty(process, "arch", { value: "arm" });
      const { main } = await import(${JSON.stringify(new URL(`../../${folder}/main.ts`, import.meta.url))});
      await main(${JSON.stringify(args)}, {});
    `;
    const program = startCommand(t, process.execPath, ["--input-type=module", "-e", script]);
    const { code } = await program.exited;
    return { code, stderr: program.stderr, lines: program.lines.map(({ text }) => String(text)) };
  };
  const data = ["--data-dir", directory];
  const [agent, broker, doctor, help, consume] = await Promise.all([
    run("agent", "--source", "stdin:", ...data),
    run("broker", "--listen", "mqtt://127.0.0.1:0", ...data),
    run("agent", "doctor", ...data),
    run("broker", "users", "--help"),
    run("consume", "--version"),
  ]);
  for (const { code, stderr } of [agent, broker]) {
    t.equal(code, 1);
    t.match(
      stderr,
      /^equipoise-\w+: EQ_SYSTEM_UNSUPPORTED: arm: there is no SQLite binary[^\n]*64-bit[^\n]*\n$/,
    );
  }
  t.ok(doctor.lines.some((line) => /architecture.*arm: there is no SQLite binary/.test(line)));
  t.same([help.code, consume.code], [0, 0]);
});

test("SIGTERM ends the broker with exit code 0, also with clients connected", async (t) => {
  const { program } = await startBroker(t);
  t.equal(await program.stop("SIGTERM"), 0);
  t.ok(program.lines.some(({ event }) => event === "stopped"));
});
