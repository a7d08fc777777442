/**
 * The three machines of deploy/cluster/machine with the files that are there, each a network namespace with Redis, a
 * Sentinel and a broker, TLS everywhere and each user with its own rights. The machine with the primary is cut off.
 */
import { execFile } from "node:child_process";
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import mqtt from "mqtt";
import { test } from "tap";
import { joinPool } from "../../shared/src/client/index.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { skipUnless } from "../support/debian.ts";
import { Network, skipWithoutNetworks } from "../support/network.ts";
import { type Program, startCommand, startProgramBehind } from "../support/program.ts";
import type { Teardown } from "../support/teardown.ts";
import { until } from "../support/time.ts";

const skip = skipUnless("redis-server", "redis-server") || skipWithoutNetworks;
const files = new URL("../../deploy/cluster/machine/", import.meta.url);
const launcher = fileURLToPath(new URL("../../broker/bin/equipoise-broker.mjs", import.meta.url));
const sample = "deploy/demo/sample/spot_btcusdt_20240808.trades.txt.gz";
const machines = ["m1", "m2", "m3"];

async function run(command: string, args: readonly string[]): Promise<string> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(command, args, { env });
  return stdout;
}

/** One machine's files, with the addresses and paths of this test in the place of those in the example. */
class Machine {
  readonly name: string;
  readonly #network: Network;
  readonly #directory: string;

  constructor(network: Network, directory: string, name: string) {
    this.name = name;
    this.#network = network;
    this.#directory = join(directory, name);
  }

  async prepare(authority: string): Promise<void> {
    const { address } = this;
    await mkdir(join(this.#directory, "redis"), { recursive: true });
    for (const file of ["ca.crt", "ca.key"])
      await copyFile(join(authority, file), join(this.#directory, file));
    await run(process.execPath, [launcher, "certs", "server", "--dir", this.#directory, "--host", address]);
  }

  get address(): string {
    return this.#network.address(this.name);
  }

  async #file(name: string, change = (text: string): string => text): Promise<string> {
    const path = join(this.#directory, name);
    const text = await readFile(new URL(name, files), "utf8");
    const paths = text
      .replaceAll(
        /(\/etc\/(redis|equipoise)\/tls|\/run\/credentials\/equipoise-broker.service)/g,
        this.#directory,
      )
      .replaceAll("/etc/redis", this.#directory)
      .replaceAll("/var/lib/redis", join(this.#directory, "redis"))
      .replaceAll(/bind 10\.0\.0\.1/g, `bind ${this.address}`)
      .replaceAll(/10\.0\.0\.(\d)/g, (_, number) => this.#network.address(`m${number}`));
    await writeFile(path, change(paths));
    return path;
  }

  async startRedis(t: Teardown): Promise<Program> {
    await this.#file("users.acl");
    const replica = this.name !== "m1";
    const uncomment = (text: string): string => (replica ? text.replace("# replicaof", "replicaof") : text);
    const program = this.#start(t, "redis-server", await this.#file("redis.conf", uncomment));
    const ready = replica ? "Finished with success" : "Ready to accept";
    await program.line(({ text }) => String(text).includes(ready));
    return program;
  }

  async startSentinel(t: Teardown): Promise<Program> {
    const program = this.#start(t, "redis-server", await this.#file("sentinel.conf"), "--sentinel");
    await program.line(({ text }) => String(text).includes("+monitor master"));
    return program;
  }

  #start(t: Teardown, ...args: [string, ...string[]]): Program {
    const [command, ...before] = this.#network.on(this.name);
    return startCommand(t, command, [...before, ...args]);
  }

  async startBroker(t: Teardown): Promise<Program> {
    const anonymous = (text: string): string =>
      text.replace(/usersFile: .*/, "allowAnonymous: true").replace("gateway-1", this.name);
    const config = await this.#file("broker.yaml", anonymous);
    const env = await readFile(await this.#file("broker.env"), "utf8");
    const variables = env.split("\n").filter((line) => /^EQUIPOISE/.test(line));
    const [command, ...before] = this.#network.on(this.name);
    const behind: [string, ...string[]] = [command, ...before, "env", ...variables];
    const program = startProgramBehind(t, behind, "broker", [
      "--config",
      config,
      "--data-dir",
      this.#directory,
    ]);
    await program.event("ready");
    return program;
  }
}

test("three machines: the one with the primary is cut off, the others go on, and it comes back by itself", {
  skip,
}, async (t) => {
  const network = new Network(t);
  const directory = await temporaryDirectory(t);
  for (const name of machines) network.host(name);
  await run(process.execPath, [launcher, "certs", "ca", "--dir", directory]);
  const all = machines.map((name) => new Machine(network, directory, name));
  for (const machine of all) await machine.prepare(directory);
  for (const machine of all) await machine.startRedis(t);
  const sentinels = await Promise.all(all.map((machine) => machine.startSentinel(t)));
  const knows = ({ lines }: Program, what: string): number =>
    lines.filter(({ text }) => String(text).includes(what)).length;
  await until(() => sentinels.every((each) => knows(each, "+sentinel ") >= 2 && knows(each, "+slave ") >= 2));
  const brokers = await Promise.all(all.map((machine) => machine.startBroker(t)));

  const tls = { ca: await readFile(join(directory, "ca.crt")) };
  const urls = all.map(({ address }) => `mqtts://${address}:8883`);
  const handled = new Set<number>();
  for (const at of [1, 2]) {
    const consumer = joinPool({
      ...{ broker: [urls[at] as string, ...urls], pool: "pricing", filter: "ticks/#", tls },
      handler: ({ seq }) => void handled.add(seq),
    });
    await consumer.start();
    t.teardown(() => consumer.stop());
  }
  const agent = startProgramBehind(t, ["env"], "agent", [
    ...["--agent-id", "agent", "--source", `file:${sample}?venue=binance&loop=true`, "--speed", "20"],
    ...["--broker", urls.slice(1).join(","), "--uplink-ca-file", join(directory, "ca.crt")],
    ...["--data-dir", await temporaryDirectory(t)],
  ]);
  await until(() => handled.size > 50);

  let state = "";
  const stateOf = (): string => state;
  const watcher = await mqtt.connectAsync(urls[0] as string, { ...tls, clientId: "watcher" });
  t.teardown(() => watcher.endAsync(true));
  watcher.on("message", (_topic, payload) => {
    state = JSON.parse(payload.toString()).state;
  });
  await watcher.subscribeAsync("heartbeat/brokers/m1");
  await until(() => stateOf() === "up");

  const parted = ["m2", "m3"];
  for (const other of parted) network.part("m1", other);
  await until(() =>
    brokers.slice(1).every(({ lines }) => lines.some(({ event }) => event === "engine.away")),
  );
  const before = handled.size;
  const failoverMs = await until(() => handled.size > before + 50);
  t.pass(`the others went on ${failoverMs} ms after they had lost the primary`);
  await until(() => stateOf() === "degraded");
  t.pass("the one that was cut off, with the primary of before, does not");
  for (const other of parted) network.heal("m1", other);
  const backMs = await until(() => stateOf() === "up", 60_000);
  t.pass(`the machine that was cut off was back after ${backMs} ms`);
  await agent.stop();
  const ended = agent.lines.findLast(({ event }) => event === "ended") as unknown as { acknowledged: number };
  await until(() => handled.size >= ended.acknowledged);
  t.pass(`all ${ended.acknowledged} acknowledged ticks came`);
  const refusals = brokers.flatMap(({ lines }) => lines.filter(({ event }) => event === "journal.failed"));
  t.same(refusals, [], "the rights of the user suffice");
});

test("systemd finds nothing wrong with a broker of the cluster", {
  skip: skipUnless("systemd-analyze", "systemd"),
}, async (t) => {
  const directory = await temporaryDirectory(t);
  const name = "equipoise-broker.service";
  const unit = await readFile(new URL(`../../deploy/systemd/${name}`, import.meta.url), "utf8");
  // The program is not installed here.
  await writeFile(join(directory, name), unit.replace("/opt/equipoise/node_modules/.bin/node", "/bin/sh"));
  await mkdir(join(directory, `${name}.d`));
  await copyFile(new URL("equipoise-broker.conf", files), join(directory, `${name}.d`, "cluster.conf"));
  const { stdout, stderr } = await promisify(execFile)("systemd-analyze", ["verify", join(directory, name)]);
  t.same([stdout, stderr], ["", ""]);
});
