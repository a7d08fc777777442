import { existsSync, globSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type Test, test } from "tap";
import { fingerprintFile, fingerprintOf, moduleOf, packages } from "../../shared/bin/build.mjs";
import { temporaryDirectory } from "../support/broker.ts";
import { startCommand } from "../support/program.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const sample = "deploy/demo/sample/spot_btcusdt_20240808.trades.txt.gz";

/** A release within this directory, where it finds the installed packages. */
async function build(t: Test): Promise<string> {
  const release = join(root, ".tap", `release-${process.pid}`);
  t.teardown(() => rmSync(release, { recursive: true, force: true }));
  const path = { PATH: `${join(root, "node_modules/.bin")}:${process.env.PATH}` };
  // What tap puts into every program it sees started keeps the compiler from loading.
  const plain = ["-u", "NODE_OPTIONS", process.execPath, join(root, "deploy/release/build.mjs"), release];
  const builder = startCommand(t, "env", plain, path);
  t.equal((await builder.exited).code, 0, builder.stderr);
  return release;
}

async function help(t: Test, launcher: string): Promise<string[]> {
  const program = startCommand(t, process.execPath, [launcher, "--help"]);
  t.equal((await program.exited).code, 0, program.stderr);
  return program.lines.map(({ text }) => String(text));
}

const bin = (tree: string, name: string, command: string): string => join(tree, name, "bin", command);

/** Of its documents to files that it does not have. */
function brokenLinks(release: string): string[] {
  const documents = globSync(["*.md", "docs/**/*.md"], { cwd: release });
  return documents.flatMap((document) => {
    const links = readFileSync(join(release, document), "utf8").matchAll(/\]\(((?!\w+:)[^)#]+)[^)]*\)/g);
    const missing = [...links].filter(([, to = ""]) => !existsSync(join(release, dirname(document), to)));
    return missing.map(([, to]) => `${document}: ${to}`);
  });
}

test("a release says and does what the sources do: ticks go through, and it stops cleanly", async (t) => {
  const release = await build(t);
  const consume = (tree: string): string => bin(tree, "shared", "equipoise-consume.mjs");
  t.same(await help(t, consume(release)), await help(t, consume(root)));
  t.same(brokenLinks(release), []);
  t.match(readFileSync(join(release, "README.md"), "utf8"), /^> \*\*This is a release\*\*/);
  const dataDir = await temporaryDirectory(t);
  const start = (name: string, command: string, ...args: string[]) =>
    startCommand(t, process.execPath, [
      bin(release, name, command),
      "--data-dir",
      join(dataDir, name),
      ...args,
    ]);
  const broker = start("broker", "equipoise-broker.mjs", "--listen", "mqtt://127.0.0.1:0");
  const [url = ""] = (await broker.event("ready")).listen as string[];
  const source = `file:${join(root, sample)}?venue=binance`;
  const args = ["--broker", url, "--source", source, "--speed", "max", "--once"];
  const agent = start("agent", "equipoise-agent.mjs", ...args);
  await agent.event("ready");
  if (process.platform === "linux") {
    const commandLine = readFileSync(`/proc/${agent.child.pid}/cmdline`, "utf8");
    t.match(
      commandLine,
      "--max-semi-space-size",
      "the agent restarted itself with the flags of a small device",
    );
  }
  t.match(await agent.event("ended"), { read: 9_757, buffered: 9_757, acknowledged: 9_757, waiting: 0 });
  t.equal((await agent.exited).code, 0, agent.stderr);
  t.equal(await broker.stop(), 0, broker.stderr);
});

test("a build runs as long as it is younger than every source, never afterwards", async (t) => {
  const tree = await temporaryDirectory(t);
  for (const name of packages) {
    for (const folder of ["src", "bin"]) mkdirSync(join(tree, name, folder), { recursive: true });
    writeFileSync(join(tree, name, "package.json"), "{}");
  }
  const source = join(tree, "agent/src/main.ts");
  writeFileSync(source, "");
  const launcher = pathToFileURL(join(tree, "agent/bin/equipoise-agent.mjs")).href;
  const found = () => moduleOf(launcher, "agent", "main");
  t.match(found(), { url: /agent\/src\/main\.ts$/, compiled: false }, "nothing is built");
  mkdirSync(join(tree, "dist"));
  writeFileSync(join(tree, "dist", fingerprintFile), fingerprintOf(tree));
  t.match(found(), { url: /dist\/agent\/src\/main\.js$/, compiled: true });
  utimesSync(source, 1, 1);
  t.match(found(), { compiled: false }, "a source has another time");
  writeFileSync(join(tree, "dist", fingerprintFile), fingerprintOf(tree));
  writeFileSync(join(tree, "shared/src/added.ts"), "");
  t.match(found(), { compiled: false }, "a source was added");
});
