/**
 * The clients of a demo, each its own process: an agent that replays recorded trades, and a pool of three members of
 * unequal speed. Members wait, they do not burn CPU.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Child, type Line } from "./child.ts";
import { Tally } from "./tally.ts";

export const pool = { name: "demo", filters: ["ticks/#"] } as const;
export const members = [
  { clientId: "fast", workMs: 1 },
  { clientId: "steady", workMs: 3 },
  { clientId: "slow", workMs: 10 },
] as const;
const agentId = "demo";
const sample = fileURLToPath(new URL("../demo/sample/spot_btcusdt_20240808.trades.txt.gz", import.meta.url));
/** Acknowledged ticks that nobody has handled after this long without any progress count as lost. */
const giveUpAfterMs = 15_000;
const checkPeriodMs = 20;

/** The agent's last word. */
export interface Progress {
  read: number;
  buffered: number;
  published: number;
  acknowledged: number;
  /** In the agent's buffer, not acknowledged yet. */
  waiting: number;
  ticksPerSecond: number;
  /** Of the recording, 0 to 1; null while unknown. */
  done: number | null;
}

export interface ClientsOptions {
  /** The agent ends when the recording has, and all is acknowledged; else it begins anew. */
  once: boolean;
  speed: string;
  /** Gets every line of a client, after it was counted. @param who `agent` or a member's client id */
  onLine: (who: string, line: Line) => void;
  /** A client has ended by itself that should not have. */
  onFailed: (error: Error) => void;
}

export class Clients {
  readonly tally = new Tally();
  readonly #options: ClientsOptions;
  #agent: Child | undefined;
  #members: Child[] = [];
  #progress = progressOf({});

  constructor(options: ClientsOptions) {
    this.#options = options;
  }

  get progress(): Progress {
    return this.#progress;
  }

  /** Acknowledged, and not handled by a member so far. */
  get missing(): number {
    return Math.max(0, this.#progress.acknowledged - this.tally.delivered);
  }

  /**
   * Starts the members, then the agent.
   * @param urls the brokers; each member begins with another one
   * @param directory the agent's data directory is made in it
   */
  async start(urls: readonly string[], directory: string): Promise<void> {
    this.#members = members.map(({ clientId, workMs }, at) => {
      const from = at % urls.length;
      return this.#startMember(clientId, workMs, [...urls.slice(from), ...urls.slice(0, from)]);
    });
    await Promise.all(this.#members.map((member) => member.event("ready")));
    this.#agent = this.#startAgent(urls, join(directory, "agent"));
  }

  /** Stops in the direction of the data, so that whatever is accepted is also delivered. */
  async stop(): Promise<void> {
    await this.#agent?.stop();
    await Promise.all(this.#members.map((member) => member.stop()));
  }

  /** Resolves when the agent has ended and every acknowledged tick was handled, or nothing moves any more. */
  async settled(): Promise<void> {
    await this.#agent?.event("ended");
    let last = -1;
    let sinceMs = performance.now();
    while (this.missing > 0 && performance.now() - sinceMs < giveUpAfterMs) {
      if (this.tally.delivered !== last) {
        last = this.tally.delivered;
        sinceMs = performance.now();
      }
      await new Promise((resolve) => setTimeout(resolve, checkPeriodMs));
    }
  }

  #startMember(clientId: string, workMs: number, urls: readonly string[]): Child {
    const { onLine, onFailed } = this.#options;
    const args = [
      ...urls.flatMap((url) => ["--broker", url]),
      ...["--pool", pool.name, ...pool.filters.flatMap((filter) => ["--filter", filter])],
      ...["--client-id", clientId, "--format", "json", "--work-ms", String(workMs)],
    ];
    return new Child(`member ${clientId}`, "shared/bin/equipoise-consume.mjs", args, {
      onLine: (line) => {
        if (line.type === "trade") this.tally.add(clientId, streamOf(line), count(line.seq));
        onLine(clientId, line);
      },
      onFailed,
    });
  }

  #startAgent(urls: readonly string[], dataDirectory: string): Child {
    const { once, speed, onLine, onFailed } = this.#options;
    const source = `file:${sample}?venue=binance${once ? "" : "&loop=true"}`;
    const args = [
      ...["--agent-id", agentId, "--source", source, "--speed", speed, "--broker", urls.join(",")],
      ...["--data-dir", dataDirectory, "--progress-period-ms", "1000", ...(once ? ["--once"] : [])],
    ];
    return new Child("agent", "agent/bin/equipoise-agent.mjs", args, {
      onLine: (line) => {
        if (line.event === "progress" || line.event === "ended") this.#progress = progressOf(line);
        onLine("agent", line);
      },
      onFailed,
      mayEnd: once,
    });
  }
}

const streamOf = ({ agent, epoch, symbol }: Line): string => `${agent} ${epoch} ${symbol}`;

const count = (value: unknown): number => (typeof value === "number" ? value : 0);

function progressOf(line: Line): Progress {
  const ended = line.event === "ended";
  return {
    read: count(line.read),
    buffered: count(line.buffered),
    published: count(line.published),
    acknowledged: count(line.acknowledged),
    waiting: count(line.waiting),
    ticksPerSecond: ended ? 0 : count(line.ticksPerSecond),
    done: ended ? 1 : typeof line.done === "number" ? line.done : null,
  };
}
