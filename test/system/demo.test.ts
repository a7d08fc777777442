import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Test, test } from "tap";
import { startCommand } from "../support/program.ts";
import { until } from "../support/time.ts";

const demo = fileURLToPath(new URL("../../deploy/demo/demo.ts", import.meta.url));

test("the demo replays the whole recording once: all acknowledged, delivered once over three members, none lost", async (t) => {
  const program = startCommand(t, process.execPath, [demo, "--once", "--speed", "max"]);
  const { code } = await program.exited;
  const text = program.lines.map((line) => String(line.text)).join("\n");
  const row = (name: string): number => Number(new RegExp(`^${name} +(\\d+)$`, "m").exec(text)?.[1]);
  t.same(
    ["ticks read", "buffered", "published", "acknowledged", "delivered", "lost"].map(row),
    [9757, 9757, 9757, 9757, 9757, 0],
  );
  const shares = [...text.matchAll(/(fast|steady|slow) (\d+)(?=,| in )/g)]
    .slice(-3)
    .map(([, , count]) => Number(count));
  t.ok(
    shares.every((count) => count > 300),
    `every member had a part: ${shares}`,
  );
  t.ok((shares[0] ?? 0) > (shares[2] ?? 0), "the fast member did more than the slow one");
  t.equal(code, 0, program.stderr);
});

/** The demo once it delivers, and those of its programs then that are alive at any time. */
async function startDelivering(t: Test) {
  const program = startCommand(t, process.execPath, [demo, "--speed", "50"]);
  await program.line(({ text }) => /delivered [1-9]/.test(String(text)));
  const { stdout } = spawnSync("pgrep", ["-P", String(program.child.pid)], { encoding: "utf8" });
  const children = stdout.trim().split("\n");
  const alive = (): string[] => children.filter((pid) => spawnSync("kill", ["-0", pid]).status === 0);
  return { program, alive };
}

test("the demo stops cleanly when it is told to, and so do its programs", async (t) => {
  const { program, alive } = await startDelivering(t);
  t.equal(alive().length, 5, "a broker, an agent, three members");
  t.equal(await program.stop("SIGINT"), 0);
  t.same(alive(), []);
});

test("when the demo is killed its programs stop by themselves", async (t) => {
  const { program, alive } = await startDelivering(t);
  t.equal(alive().length, 5);
  program.child.kill("SIGKILL");
  await until(() => alive().length === 0);
});
