import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "tap";
import { temporaryDirectory } from "../support/broker.ts";
import { skipUnless } from "../support/debian.ts";
import { type Program, startCommand } from "../support/program.ts";
import { until } from "../support/time.ts";

const example = fileURLToPath(new URL("../../deploy/cluster/cluster.ts", import.meta.url));
const skip = skipUnless("redis-server", "redis-server");

const textOf = ({ lines }: Program): string => lines.map((line) => String(line.text)).join("\n");

/** All processes below one. */
function descendants(root: number): number[] {
  const { stdout } = spawnSync("ps", ["-eo", "pid=,ppid="], { encoding: "utf8" });
  const pairs = [...stdout.matchAll(/(\d+) +(\d+)/g)].map(([, pid, parent]) => [Number(pid), Number(parent)]);
  const below = (pid: number): number[] =>
    pairs.flatMap(([child = 0, parent]) => (parent === pid ? [child, ...below(child)] : []));
  return below(root);
}

const alive = (pids: readonly number[]): number[] => pids.filter((pid) => existsSync(`/proc/${pid}`));

test("the cluster loses nothing while a broker and the primary are killed with -9, and ends by itself", {
  skip,
  timeout: 90_000,
}, async (t) => {
  const args = ["--once", "--speed", "300", "--kill", "both", "--kill-every-ms", "1000"];
  const program = startCommand(t, process.execPath, [example, ...args]);
  const { code } = await program.exited;
  const text = textOf(program);
  const row = (name: string): number => Number(new RegExp(`^${name} +(\\d+)$`, "m").exec(text)?.[1]);
  t.same(["ticks read", "acknowledged", "delivered", "lost"].map(row), [9757, 9757, 9757, 0], text);
  t.ok(row("brokers killed") > 0 && row("failovers") > 0, "both were killed");
  t.comment(`${row("duplicates")} duplicates, longest pause ${row("pause ms")} ms`);
  t.equal(code, 0, program.stderr);
});

for (const [how, signal] of [
  ["is told to stop, it stops in order", "SIGINT"],
  ["is killed, its programs stop by themselves", "SIGKILL"],
] as const)
  test(`when the cluster ${how}, and nothing of it is left`, { skip, timeout: 90_000 }, async (t) => {
    const program = startCommand(t, process.execPath, [example]);
    await program.line(({ text }) => /delivered [1-9]/.test(String(text)));
    const children = descendants(program.child.pid as number);
    t.ok(children.length >= 13, "three brokers, six of Redis, four clients");
    const code = await program.stop(signal);
    t.equal(code, signal === "SIGINT" ? 0 : null, program.stderr);
    await until(() => alive(children).length === 0, signal === "SIGINT" ? 10_000 : 60_000);
  });

test("without redis-server one line says what to install", async (t) => {
  const directory = await temporaryDirectory(t);
  await symlink("/bin/sh", join(directory, "sh"));
  const program = startCommand(t, process.execPath, [example], { PATH: directory });
  t.equal((await program.exited).code, 1);
  t.match(program.stderr, /^equipoise: EQ_PROGRAM_MISSING: redis-server: apt-get install redis-server .*\n$/);
});
