/**
 * `npm start`, `npm test`, `npm run bench` and the like on a fresh clone, from any Node >= 20: install what is missing, then hand over to the
 * pinned Node 24. Plain JavaScript with no imports from outside Node, because nothing is installed yet when it runs.
 */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const modules = join(root, "node_modules");
const stampFile = join(modules, ".equipoise-lock");
const testStampFile = join(modules, ".equipoise-tests");
const lockfile = readFileSync(join(root, "package-lock.json"), "utf8");
const exitMissing = 69;

const targets = {
  demo: ["node", "deploy/demo/demo.ts"],
  cluster: ["node", "deploy/cluster/cluster.ts"],
  test: ["node", "deploy/bootstrap/test.mjs"],
  bench: ["node", "test/bench/bench.ts"],
  sim: ["node", "test/sim/sim.ts"],
  soak: ["node", "deploy/bootstrap/soak.mjs"],
  build: ["node", "deploy/release/build.mjs"],
};

function installed() {
  return existsSync(stampFile) && readFileSync(stampFile, "utf8") === lockfile;
}

/** Runs one install step; its output is shown only when it fails. */
function step(label, command, args) {
  process.stderr.write(`equipoise: ${label} …\n`);
  const done = spawnSync(command, args, {
    cwd: root,
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  if (done.status === 0) return;
  process.stderr.write(`${done.stdout ?? ""}${done.stderr ?? ""}`);
  const reason = done.error?.message ?? `exit code ${done.status}`;
  process.stderr.write(
    `equipoise: "${command} ${args.join(" ")}" failed (${reason}); run it by hand to see more.\n`,
  );
  process.exit(exitMissing);
}

function install() {
  step("installing the packages of the lockfile, once, about half a minute", "npm", [
    "ci",
    "--ignore-scripts",
  ]);
  step("preparing Node 24", "npm", ["rebuild", "node", "--ignore-scripts=false"]);
  writeFileSync(stampFile, lockfile);
}

/** Only the tests need it, and it takes a while. */
function prepareTests() {
  if (existsSync(testStampFile)) return;
  step("preparing the test runner", join(modules, ".bin", "tap"), ["build"]);
  writeFileSync(testStampFile, "");
}

function handOver([command, ...args], rest) {
  const path = `${join(modules, ".bin")}${delimiter}${process.env.PATH ?? ""}`;
  const child = spawn(join(modules, ".bin", command), [...args, ...rest], {
    cwd: root,
    stdio: "inherit",
    env: { ...process.env, PATH: path },
  });
  // A terminal sends Ctrl-C to the whole group; a service manager or npm signals only this process.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    process.stderr.write(
      `equipoise: cannot start ${command}: ${error.message}; remove node_modules and try again.\n`,
    );
    process.exit(exitMissing);
  });
  child.on("exit", (code, signal) => process.exit(signal === null ? (code ?? 1) : 128 + 15));
}

const [target, ...rest] = process.argv.slice(2);
if (!(target in targets)) {
  process.stderr.write(`equipoise: usage: bootstrap.mjs ${Object.keys(targets).join("|")} [ARG …]\n`);
  process.exit(64);
}
if (!installed()) install();
if (target === "test" || target === "soak") prepareTests();
handOver(targets[target], rest);
