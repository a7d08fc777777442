/**
 * `npm start`: the whole product in one terminal. A broker on the embedded durable default, an agent that replays
 * recorded trades, and a pool of three members of unequal speed, each its own process.
 */
import { join } from "node:path";
import { configFrom, runService, type Service } from "@equipoise/shared";
import { Child, type Line } from "../support/child.ts";
import { members, pool } from "../support/clients.ts";
import { Replay } from "../support/replay.ts";
import { frameOf, type Snapshot } from "./screen.ts";
import { type DemoConfig, program } from "./settings.ts";

const brokerId = "demo";

class Demo implements Service {
  readonly #config: DemoConfig;
  readonly #replay: Replay;
  #broker: Child | undefined;
  /** Of the same moment as the agent's last word, so that the figures on the screen agree. */
  #handled = { delivered: 0, duplicates: 0 };
  #agentEnded = false;
  #lastCounts = new Map<string, { handled: number; atMs: number; perSecond: number }>();

  constructor(config: DemoConfig) {
    this.#config = config;
    const { once, speed } = config;
    this.#replay = new Replay({
      ...{ name: "demo", once, speed },
      onLine: (who, line) => this.#note(who, line),
      frame: () => frameOf(this.#snapshot()),
      summarise: (missing) => this.#summarise(missing),
    });
  }

  get ended(): Promise<number> {
    return this.#replay.ended;
  }

  async start(): Promise<void> {
    const directory = await this.#replay.prepare();
    await this.#replay.start([await this.#startBroker(directory)], directory);
  }

  async stop(): Promise<void> {
    await this.#replay.stop();
    await this.#broker?.stop();
    await this.#replay.remove();
  }

  async #startBroker(directory: string): Promise<string> {
    const { durability, strategy } = this.#config;
    const args = [
      ...["--listen", "mqtt://127.0.0.1:0", "--broker-id", brokerId, "--durability", durability],
      ...["--data-dir", join(directory, "broker"), "--pools", JSON.stringify([{ ...pool, strategy }])],
      ...["--heartbeat-period-ms", "500"],
    ];
    const options = { onFailed: this.#replay.fail };
    this.#broker = new Child("broker", "broker/bin/equipoise-broker.mjs", args, options);
    const ready = await this.#broker.event("ready");
    return (ready.listen as string[])[0] as string;
  }

  #note(who: string, { event }: Line): void {
    if (who !== "agent" || (event !== "progress" && event !== "ended")) return;
    this.#agentEnded = event === "ended";
    const { delivered, duplicates } = this.#replay.clients.tally;
    this.#handled = { delivered, duplicates };
  }

  #summarise(missing: Readonly<Record<string, number>>): void {
    const { progress, tally } = this.#replay.clients;
    const { read, buffered, published, acknowledged } = progress;
    const { delivered, duplicates } = tally;
    this.#replay.display.summarise({
      ...{ "ticks read": read, buffered, published, acknowledged, delivered, duplicates },
      ...missing,
    });
    const seconds = this.#replay.elapsedMs / 1_000;
    const shares = members.map(({ clientId }) => `${clientId} ${tally.byMember.get(clientId) ?? 0}`);
    process.stdout.write(`\nhandled by ${shares.join(", ")} in ${seconds.toFixed(1)} s\n`);
  }

  #snapshot(): Snapshot {
    const { elapsedMs, heartbeats, clients } = this.#replay;
    const { progress, tally } = clients;
    // After the agent's end there is no later word of it to wait for.
    const { delivered, duplicates } = this.#agentEnded ? tally : this.#handled;
    return {
      elapsedMs,
      speed: this.#config.speed,
      ...progress,
      delivered,
      duplicates,
      heartbeat: heartbeats.newest.get(brokerId),
      members: members.map(({ clientId, workMs }) => {
        const handled = tally.byMember.get(clientId) ?? 0;
        return { clientId, workMs, handled, perSecond: this.#rateOf(clientId, handled, elapsedMs) };
      }),
    };
  }

  /** Smoothed over about a second. */
  #rateOf(clientId: string, handled: number, nowMs: number): number {
    const last = this.#lastCounts.get(clientId) ?? { handled: 0, atMs: 0, perSecond: 0 };
    const current = ((handled - last.handled) * 1_000) / Math.max(1, nowMs - last.atMs);
    const perSecond = last.perSecond + (current - last.perSecond) * 0.25;
    this.#lastCounts.set(clientId, { handled, atMs: nowMs, perSecond });
    return perSecond;
  }
}

await runService("equipoise", async () => {
  const { config } = configFrom(program, process.argv.slice(2), process.env);
  return { service: new Demo(config), shutdownTimeoutMs: 20_000 };
});
