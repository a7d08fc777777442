/** `npm test [FILE …]`: types, lint, every test with its coverage; the last line counts them. */
import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

const cwd = fileURLToPath(new URL("../..", import.meta.url));
const say = (text) => process.stdout.write(`${text}\n`);

/** Runs one check; true when it passed. */
function check(label, command, args) {
  say(`\n── ${label}`);
  return spawnSync(command, args, { cwd, stdio: "inherit" }).status === 0;
}

/** Shows of tap's output a line for each file, everything of files that failed, and the coverage. */
function summarise(input) {
  const counts = { pass: 0, fail: 0, skip: 0, todo: 0 };
  let nested = [];
  createInterface({ input }).on("line", (line) => {
    const totals = /^# \{ (total: .*) \}$/.exec(line)?.[1];
    if (totals !== undefined) {
      for (const [, name, value] of totals.matchAll(/(\w+): (\d+)/g)) counts[name] = Number(value);
    } else if (line.startsWith("    ") || line.startsWith("# Subtest")) {
      nested.push(line);
    } else if (line !== "" && !line.startsWith("TAP version") && !/^1\.\.\d+/.test(line)) {
      if (line.startsWith("not ok")) for (const held of nested) say(held);
      if (/^(not )?ok /.test(line)) nested = [];
      say(line);
    }
  });
  return counts;
}

const checks = [check("types", "tsc", ["-b"]), check("lint and format", "biome", ["check", "."])];
say("\n── tests");
const files = process.argv.slice(2);
const tap = spawn("tap", ["run", "--reporter=tap", "--jobs=2", "--timeout=180", ...files], {
  cwd,
  stdio: ["ignore", "pipe", "inherit"],
});
const counts = summarise(tap.stdout);
tap.on("close", (status) => {
  const broken = checks.filter((passed) => !passed).length;
  // A test file that crashed counts even when no assertion in it failed.
  const crashed = status !== 0 && counts.fail === 0 ? 1 : 0;
  const skipped = counts.skip + counts.todo;
  say(
    `\n${counts.pass} passed, ${counts.fail + broken + crashed} failed${skipped > 0 ? `, ${skipped} skipped` : ""}`,
  );
  process.exit(status === 0 && broken === 0 ? 0 : 1);
});
