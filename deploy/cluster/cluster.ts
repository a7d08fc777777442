/**
 * `npm run cluster`: three brokers as one on this machine, with an agent that replays recorded trades and a pool of three
 * members, one at each broker; every part its own process. It can kill brokers and the primary meanwhile.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BrokerHeartbeat, readCommandLine, runService, type Service } from "@equipoise/shared";
import mqtt from "mqtt";
import { Child, type Line } from "../demo/child.ts";
import { Tally } from "../demo/tally.ts";
import { Brokers, pool } from "./brokers.ts";
import { Engine, requireRedis } from "./engine.ts";
import { Picture, type View } from "./picture.ts";
import { type ClusterConfig, program } from "./settings.ts";
import { Trouble } from "./trouble.ts";

const sample = fileURLToPath(new URL("../demo/sample/spot_btcusdt_20240808.trades.txt.gz", import.meta.url));
const members = [
  { clientId: "fast", workMs: 1 },
  { clientId: "steady", workMs: 3 },
  { clientId: "slow", workMs: 10 },
] as const;
const framePeriodMs = 250;
const shownEvents = 4;
/** Acknowledged ticks that nobody has handled after this long without any progress count as lost. */
const giveUpAfterMs = 15_000;

const count = (value: unknown): number => (typeof value === "number" ? value : 0);

class Cluster implements Service {
  readonly #config: ClusterConfig;
  readonly #picture = new Picture();
  readonly #tally = new Tally();
  readonly #startedMs = performance.now();
  readonly #heartbeats = new Map<string, BrokerHeartbeat>();
  readonly #places = new Map<string, string>();
  readonly #events: string[] = [];
  readonly ended: Promise<number>;
  #end: (code: number) => void = () => {};
  #fail: (error: unknown) => void = () => {};
  #directory = "";
  #engine: Engine | undefined;
  #brokers: Brokers | undefined;
  #trouble: Trouble | undefined;
  #agent: Child | undefined;
  #members: Child[] = [];
  #monitor: mqtt.MqttClient | undefined;
  #frame: NodeJS.Timeout | undefined;
  #progress = { read: 0, acknowledged: 0, waiting: 0 };
  #lastTickMs: number | undefined;
  #longestPauseMs = 0;
  #stopping = false;
  #summarised = false;

  constructor(config: ClusterConfig) {
    this.#config = config;
    this.ended = new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    });
  }

  async start(): Promise<void> {
    requireRedis();
    this.#directory = await mkdtemp(join(tmpdir(), "equipoise-cluster-"));
    const engine = new Engine(this.#directory);
    this.#engine = engine;
    const directory = this.#directory;
    const brokers = new Brokers({ redis: () => engine.url, directory, onEnded: this.#fail });
    this.#brokers = brokers;
    await engine.start();
    await brokers.start();
    this.#watch(brokers.urlsFrom(0));
    this.#members = members.map((member, at) => this.#startMember(member, brokers.urlsFrom(at)));
    await Promise.all(this.#members.map((member) => member.event("ready")));
    this.#startAgent(brokers.urlsFrom(0));
    const { kill, killEveryMs } = this.#config;
    this.#trouble = new Trouble({ kill, killEveryMs, brokers, engine, tell: (text) => this.#tell(text) });
    this.#trouble.start(this.#fail);
    this.#frame = setInterval(() => this.#picture.show(this.#view()), framePeriodMs);
    if (this.#config.once) this.#finish().catch(this.#fail);
  }

  /** Stops in the direction of the data, so that whatever is accepted is also delivered. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#frame);
    this.#picture.end();
    await this.#trouble?.stop();
    await this.#agent?.stop();
    await Promise.all(this.#members.map((member) => member.stop()));
    await this.#monitor?.endAsync(true);
    await this.#brokers?.stop();
    await this.#engine?.stop();
    await rm(this.#directory, { recursive: true, force: true });
    if (!this.#summarised && this.#agent !== undefined) this.#summarise();
  }

  /** Any broker passes on what the others say. */
  #watch(urls: readonly string[]): void {
    const servers = urls.map((url) => {
      const { hostname: host, port } = new URL(url);
      return { host, port: Number(port), protocol: "mqtt" as const };
    });
    const monitor = mqtt.connect({ servers, clientId: "screen", reconnectPeriod: 200 });
    this.#monitor = monitor;
    // It is about to connect again.
    monitor.on("error", () => {});
    monitor.on("connect", () => monitor.subscribe("heartbeat/brokers/+"));
    monitor.on("message", (_topic, payload) => {
      const heartbeat: BrokerHeartbeat = JSON.parse(payload.toString());
      this.#heartbeats.set(heartbeat.broker, heartbeat);
    });
  }

  #startMember({ clientId, workMs }: (typeof members)[number], urls: readonly string[]): Child {
    const brokers = urls.flatMap((url) => ["--broker", url]);
    const args = [...brokers, "--pool", pool, "--filter", "ticks/#", "--client-id", clientId];
    return this.#launch(
      `member ${clientId}`,
      "shared/bin/equipoise-consume.mjs",
      [...args, "--format", "json", "--work-ms", String(workMs)],
      (line) => {
        if (line.type === "trade") this.#handled(clientId, line);
        else this.#place(clientId, line);
      },
    );
  }

  #startAgent(urls: readonly string[]): void {
    const { once, speed } = this.#config;
    const source = `file:${sample}?venue=binance${once ? "" : "&loop=true"}`;
    const args = ["--agent-id", "demo", "--source", source, "--speed", speed, "--broker", urls.join(",")];
    this.#agent = this.#launch(
      "agent",
      "agent/bin/equipoise-agent.mjs",
      [...args, "--data-dir", join(this.#directory, "agent"), ...(once ? ["--once"] : [])],
      (line) => {
        this.#place("agent", line);
        if (line.event !== "progress" && line.event !== "ended") return;
        const { read, acknowledged, waiting } = line;
        this.#progress = {
          read: count(read),
          acknowledged: count(acknowledged),
          waiting: count(waiting),
        };
      },
    );
  }

  #launch(name: string, launcher: string, args: readonly string[], onLine: (line: Line) => void): Child {
    const child = new Child(name, launcher, args, onLine);
    child.ended.then((code) => {
      if (this.#stopping || (child === this.#agent && this.#config.once && code === 0)) return;
      this.#fail(new Error(`the ${name} ended by itself with exit code ${code}`));
    });
    return child;
  }

  #handled(clientId: string, { agent, epoch, symbol, seq }: Line): void {
    const nowMs = performance.now();
    this.#longestPauseMs = Math.max(this.#longestPauseMs, nowMs - (this.#lastTickMs ?? nowMs));
    this.#lastTickMs = nowMs;
    this.#tally.add(clientId, `${agent} ${epoch} ${symbol}`, count(seq));
  }

  /** Takes note of where a client is, from what it says. */
  #place(who: string, { event, broker }: Line): void {
    const here = event === "connected" || event === "ready" || event === "joined";
    if (here && typeof broker === "string") this.#places.set(who, this.#brokers?.idOf(broker) ?? "");
    else if (event === "disconnected") this.#places.set(who, "-");
  }

  #tell(text: string): void {
    const seconds = ((performance.now() - this.#startedMs) / 1_000).toFixed(1);
    this.#events.push(`${seconds} s: ${text}`);
    if (this.#events.length > shownEvents) this.#events.shift();
    this.#picture.tell(`${seconds} s: ${text}`);
  }

  /** Waits until every acknowledged tick was handled, or nothing moves any more; then sums up. */
  async #finish(): Promise<void> {
    await this.#agent?.event("ended");
    let last = -1;
    let sinceMs = performance.now();
    while (this.#missing > 0 && performance.now() - sinceMs < giveUpAfterMs) {
      if (this.#tally.delivered !== last) {
        last = this.#tally.delivered;
        sinceMs = performance.now();
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.#end(this.#summarise() === 0 ? 0 : 1);
  }

  get #missing(): number {
    return Math.max(0, this.#progress.acknowledged - this.#tally.delivered);
  }

  #summarise(): number {
    this.#summarised = true;
    this.#picture.end();
    const { read, acknowledged } = this.#progress;
    const { delivered, duplicates } = this.#tally;
    const { brokersKilled = 0, failovers = 0 } = this.#trouble ?? {};
    // Stopped in between, what was not delivered waits in the pool: that is not lost.
    const last = this.#stopping ? { "left in pool": this.#missing } : { lost: this.#missing };
    const rows = {
      ...{ "ticks read": read, acknowledged, delivered, duplicates, ...last },
      ...{ "brokers killed": brokersKilled, failovers, "pause ms": Math.round(this.#longestPauseMs) },
    };
    const lines = Object.entries(rows).map(([name, value]) => name.padEnd(14) + String(value).padStart(9));
    process.stdout.write(`\n${lines.join("\n")}\n`);
    return this.#missing;
  }

  #view(): View {
    const { byMember, delivered, duplicates } = this.#tally;
    return {
      elapsedMs: performance.now() - this.#startedMs,
      ...this.#progress,
      ...{ agentAt: this.#places.get("agent") ?? "-", delivered, duplicates },
      longestPauseMs: this.#longestPauseMs,
      brokers: (this.#brokers?.ids ?? []).map((id) => ({ id, heartbeat: this.#heartbeats.get(id) })),
      members: members.map(({ clientId, workMs }) => {
        const at = this.#places.get(clientId) ?? "-";
        return { clientId, workMs, handled: byMember.get(clientId) ?? 0, at };
      }),
      events: this.#events,
    };
  }
}

await runService("equipoise", async () => {
  const commandLine = readCommandLine(program, process.argv.slice(2), process.env);
  if ("print" in commandLine) {
    process.stdout.write(commandLine.print);
    process.exit(0);
  }
  return { service: new Cluster(commandLine.config), shutdownTimeoutMs: 40_000 };
});
