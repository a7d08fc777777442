/**
 * `npm run cluster`: three brokers as one on this machine, with an agent that replays recorded trades and a pool of three
 * members, one at each broker; every part its own process. It can kill brokers and the primary meanwhile.
 */
import { configFrom, runService, type Service } from "@equipoise/shared";
import type { Line } from "../support/child.ts";
import { members } from "../support/clients.ts";
import { Replay } from "../support/replay.ts";
import { Brokers } from "./brokers.ts";
import { Engine, requireRedis } from "./engine.ts";
import { frameOf, type View } from "./picture.ts";
import { type ClusterConfig, program } from "./settings.ts";
import { Trouble } from "./trouble.ts";

const shownEvents = 4;

class Cluster implements Service {
  readonly #config: ClusterConfig;
  readonly #replay: Replay;
  /** The broker that each client is at. */
  readonly #places = new Map<string, string>();
  readonly #events: string[] = [];
  #engine: Engine | undefined;
  #brokers: Brokers | undefined;
  #trouble: Trouble | undefined;
  #lastTickMs: number | undefined;
  #longestPauseMs = 0;

  constructor(config: ClusterConfig) {
    this.#config = config;
    const { once, speed } = config;
    this.#replay = new Replay({
      ...{ name: "cluster", once, speed },
      onLine: (who, line) => this.#note(who, line),
      frame: () => frameOf(this.#view()),
      summarise: (missing) => this.#summarise(missing),
    });
  }

  get ended(): Promise<number> {
    return this.#replay.ended;
  }

  async start(): Promise<void> {
    requireRedis();
    const { fail } = this.#replay;
    const directory = await this.#replay.prepare();
    const engine = new Engine(directory);
    this.#engine = engine;
    const brokers = new Brokers({ redis: () => engine.url, directory, onFailed: fail });
    this.#brokers = brokers;
    await engine.start();
    await brokers.start();
    await this.#replay.start(brokers.urls, directory);
    const { kill, killEveryMs } = this.#config;
    this.#trouble = new Trouble({ kill, killEveryMs, brokers, engine, tell: (text) => this.#tell(text) });
    this.#trouble.start(fail);
  }

  async stop(): Promise<void> {
    this.#replay.display.stop();
    await this.#trouble?.stop();
    await this.#replay.stop();
    await this.#brokers?.stop();
    await this.#engine?.stop();
    await this.#replay.remove();
  }

  #note(who: string, line: Line): void {
    if (line.type === "trade") this.#noteTick();
    else this.#notePlace(who, line);
  }

  #noteTick(): void {
    const nowMs = performance.now();
    this.#longestPauseMs = Math.max(this.#longestPauseMs, nowMs - (this.#lastTickMs ?? nowMs));
    this.#lastTickMs = nowMs;
  }

  #notePlace(who: string, { event, broker }: Line): void {
    const here = event === "connected" || event === "ready" || event === "joined";
    if (here && typeof broker === "string") this.#places.set(who, this.#brokers?.idOf(broker) ?? "");
    else if (event === "disconnected") this.#places.set(who, "-");
  }

  #tell(text: string): void {
    const seconds = (this.#replay.elapsedMs / 1_000).toFixed(1);
    this.#events.push(`${seconds} s: ${text}`);
    if (this.#events.length > shownEvents) this.#events.shift();
    this.#replay.display.tell(`${seconds} s: ${text}`);
  }

  #summarise(missing: Readonly<Record<string, number>>): void {
    const { progress, tally } = this.#replay.clients;
    const { read, acknowledged } = progress;
    const { delivered, duplicates } = tally;
    const { brokersKilled = 0, failovers = 0 } = this.#trouble ?? {};
    this.#replay.display.summarise({
      ...{ "ticks read": read, acknowledged, delivered, duplicates },
      ...missing,
      ...{ "brokers killed": brokersKilled, failovers, "pause ms": Math.round(this.#longestPauseMs) },
    });
  }

  #view(): View {
    const { elapsedMs, heartbeats, clients } = this.#replay;
    const { progress, tally } = clients;
    const { byMember, delivered, duplicates } = tally;
    return {
      elapsedMs,
      ...progress,
      ...{ agentAt: this.#places.get("agent") ?? "-", delivered, duplicates },
      longestPauseMs: this.#longestPauseMs,
      brokers: (this.#brokers?.ids ?? []).map((id) => ({ id, heartbeat: heartbeats.newest.get(id) })),
      members: members.map(({ clientId, workMs }) => {
        const at = this.#places.get(clientId) ?? "-";
        return { clientId, workMs, handled: byMember.get(clientId) ?? 0, at };
      }),
      events: this.#events,
    };
  }
}

await runService("equipoise", async () => {
  const { config } = configFrom(program, process.argv.slice(2), process.env);
  return { service: new Cluster(config), shutdownTimeoutMs: 40_000 };
});
