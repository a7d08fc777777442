/**
 * `npm start`: the whole product in one terminal. A broker on the embedded durable default, an agent that replays
 * recorded trades, and a pool of three members of unequal speed, each its own process. Members wait, they do not
 * burn CPU.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BrokerHeartbeat, readCommandLine, runService, type Service } from "@equipoise/shared";
import mqtt from "mqtt";
import { Child, type Line } from "./child.ts";
import { Screen, type Snapshot } from "./screen.ts";
import { type DemoConfig, program } from "./settings.ts";
import { Tally } from "./tally.ts";

const sample = fileURLToPath(new URL("sample/spot_btcusdt_20240808.trades.txt.gz", import.meta.url));
const pool = "demo";
const members = [
  { clientId: "fast", workMs: 1 },
  { clientId: "steady", workMs: 3 },
  { clientId: "slow", workMs: 10 },
] as const;
const framePeriodMs = 250;
/** Acknowledged ticks that nobody has handled after this long without any progress count as lost. */
const giveUpAfterMs = 15_000;

interface Progress {
  read: number;
  acknowledged: number;
  buffered: number;
  published: number;
  /** In the agent's buffer, not acknowledged yet. */
  waiting: number;
  ticksPerSecond: number;
  done: number | null;
}

const nothing: Progress = {
  read: 0,
  acknowledged: 0,
  buffered: 0,
  published: 0,
  waiting: 0,
  ticksPerSecond: 0,
  done: null,
};

const count = (value: unknown): number => (typeof value === "number" ? value : 0);

export class Demo implements Service {
  readonly #config: DemoConfig;
  readonly #screen = new Screen();
  readonly #tally = new Tally();
  readonly #startedMs = performance.now();
  readonly ended: Promise<number>;
  #end: (code: number) => void = () => {};
  #fail: (error: unknown) => void = () => {};
  #directory: string | undefined;
  #broker: Child | undefined;
  #agent: Child | undefined;
  #members: Child[] = [];
  #monitor: mqtt.MqttClient | undefined;
  #heartbeat: BrokerHeartbeat | undefined;
  #frame: NodeJS.Timeout | undefined;
  #stopping = false;
  #progress: Progress = { ...nothing };
  /** Of the same moment as the agent's last word, so that the figures on the screen agree. */
  #handled = { delivered: 0, duplicates: 0 };
  #summarised = false;
  #agentEnded = false;
  #lastCounts = new Map<string, { handled: number; atMs: number; perSecond: number }>();

  constructor(config: DemoConfig) {
    this.#config = config;
    this.ended = new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#fail = reject;
    });
  }

  async start(): Promise<void> {
    this.#directory = await mkdtemp(join(tmpdir(), "equipoise-demo-"));
    const url = await this.#startBroker(this.#directory);
    await this.#watchBroker(url);
    this.#members = members.map(({ clientId, workMs }) => this.#startMember(url, clientId, workMs));
    await Promise.all(this.#members.map((member) => member.event("ready")));
    this.#startAgent(url, this.#directory);
    this.#frame = setInterval(() => this.#screen.show(this.#snapshot()), framePeriodMs);
    if (this.#config.once) this.#finish().catch(this.#fail);
  }

  /** Stops in the direction of the data, so that whatever is accepted is also delivered. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#frame);
    this.#screen.end();
    await this.#agent?.stop();
    await Promise.all(this.#members.map((member) => member.stop()));
    await this.#monitor?.endAsync(true);
    await this.#broker?.stop();
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
    if (!this.#summarised) this.#summarise();
  }

  async #startBroker(directory: string): Promise<string> {
    const { durability, strategy } = this.#config;
    const pools = JSON.stringify([{ name: pool, filters: ["ticks/#"], strategy }]);
    const args = ["--listen", "mqtt://127.0.0.1:0", "--broker-id", "demo", "--durability", durability];
    this.#broker = this.#launch("broker", "broker/bin/equipoise-broker.mjs", [
      ...args,
      ...["--data-dir", join(directory, "broker"), "--pools", pools, "--heartbeat-period-ms", "500"],
    ]);
    const ready = await this.#broker.event("ready");
    return (ready.listen as string[])[0] as string;
  }

  async #watchBroker(url: string): Promise<void> {
    this.#monitor = await mqtt.connectAsync(url, { clientId: "demo-screen" });
    this.#monitor.on("message", (_topic, payload) => {
      this.#heartbeat = JSON.parse(payload.toString());
    });
    await this.#monitor.subscribeAsync("heartbeat/brokers/+");
  }

  #startMember(url: string, clientId: string, workMs: number): Child {
    const args = ["--broker", url, "--pool", pool, "--filter", "ticks/#", "--client-id", clientId];
    return this.#launch(
      `member ${clientId}`,
      "shared/bin/equipoise-consume.mjs",
      [...args, "--format", "json", "--work-ms", String(workMs)],
      (line) => {
        if (line.type === "trade")
          this.#tally.add(clientId, `${line.agent} ${line.epoch} ${line.symbol}`, count(line.seq));
      },
    );
  }

  #startAgent(url: string, directory: string): void {
    const { once, speed } = this.#config;
    const source = `file:${sample}?venue=binance${once ? "" : "&loop=true"}`;
    const args = ["--agent-id", "demo", "--source", source, "--speed", speed, "--broker", url];
    this.#agent = this.#launch(
      "agent",
      "agent/bin/equipoise-agent.mjs",
      [...args, "--data-dir", join(directory, "agent"), ...(once ? ["--once"] : [])],
      (line) => {
        if (line.event === "progress" || line.event === "ended") this.#note(line);
      },
    );
  }

  #launch(
    name: string,
    launcher: string,
    args: readonly string[],
    onLine: (line: Line) => void = () => {},
  ): Child {
    const child = new Child(name, launcher, args, onLine);
    child.ended.then((code) => {
      if (this.#stopping || (child === this.#agent && this.#config.once && code === 0)) return;
      this.#fail(new Error(`the ${name} ended by itself with exit code ${code}`));
    });
    return child;
  }

  #note(line: Line): void {
    const { delivered, duplicates } = this.#tally;
    this.#handled = { delivered, duplicates };
    this.#progress = {
      read: count(line.read),
      acknowledged: count(line.acknowledged),
      buffered: count(line.buffered),
      published: count(line.published),
      waiting: count(line.waiting),
      ticksPerSecond: line.event === "ended" ? 0 : count(line.ticksPerSecond),
      done: line.event === "ended" ? 1 : typeof line.done === "number" ? line.done : null,
    };
  }

  /** Waits until every acknowledged tick was handled, or nothing moves any more; then sums up. */
  async #finish(): Promise<void> {
    await this.#agent?.event("ended");
    this.#agentEnded = true;
    let last = -1;
    let sinceMs = performance.now();
    while (
      this.#tally.delivered < this.#progress.acknowledged &&
      performance.now() - sinceMs < giveUpAfterMs
    ) {
      if (this.#tally.delivered !== last) {
        last = this.#tally.delivered;
        sinceMs = performance.now();
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    this.#screen.show(this.#snapshot());
    this.#screen.end();
    const lost = this.#summarise();
    this.#end(lost === 0 ? 0 : 1);
  }

  #summarise(): number {
    const { read, buffered, published, acknowledged } = this.#progress;
    const { delivered, duplicates } = this.#tally;
    const missing = Math.max(0, acknowledged - delivered);
    // Stopped in between, what was not delivered waits in the pool: that is not lost.
    const last = this.#stopping ? { "left in pool": missing } : { lost: missing };
    const rows = { "ticks read": read, buffered, published, acknowledged, delivered, duplicates, ...last };
    this.#summarised = true;
    const seconds = (performance.now() - this.#startedMs) / 1_000;
    const lines = Object.entries(rows).map(
      ([name, value]) => `${name.padEnd(14)}${String(value).padStart(9)}`,
    );
    const shares = members
      .map(({ clientId }) => `${clientId} ${this.#tally.byMember.get(clientId) ?? 0}`)
      .join(", ");
    process.stdout.write(`\n${lines.join("\n")}\n\nhandled by ${shares} in ${seconds.toFixed(1)} s\n`);
    return missing;
  }

  #snapshot(): Snapshot {
    const now = performance.now();
    const { byMember } = this.#tally;
    // After the agent's end there is no later word of it to wait for.
    const { delivered, duplicates } = this.#agentEnded ? this.#tally : this.#handled;
    return {
      elapsedMs: now - this.#startedMs,
      speed: this.#config.speed,
      ...this.#progress,
      delivered,
      duplicates,
      heartbeat: this.#heartbeat,
      members: members.map(({ clientId, workMs }) => {
        const handled = byMember.get(clientId) ?? 0;
        return { clientId, workMs, handled, perSecond: this.#rateOf(clientId, handled, now) };
      }),
    };
  }

  /** Smoothed over about a second. */
  #rateOf(clientId: string, handled: number, nowMs: number): number {
    const last = this.#lastCounts.get(clientId) ?? { handled: 0, atMs: this.#startedMs, perSecond: 0 };
    const current = ((handled - last.handled) * 1_000) / Math.max(1, nowMs - last.atMs);
    const perSecond = last.perSecond + (current - last.perSecond) * 0.25;
    this.#lastCounts.set(clientId, { handled, atMs: nowMs, perSecond });
    return perSecond;
  }
}

await runService("equipoise", async () => {
  const commandLine = readCommandLine(program, process.argv.slice(2), process.env);
  if ("print" in commandLine) {
    process.stdout.write(commandLine.print);
    process.exit(0);
  }
  return { service: new Demo(commandLine.config), shutdownTimeoutMs: 20_000 };
});
