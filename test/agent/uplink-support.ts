/** What the uplink's tests share: a queue of ticks, and an uplink on it. */
import { systemClock, type TlsClientFiles } from "@equipoise/shared";
import type { BufferedTick, Stream, TickQueue } from "../../agent/src/buffer/queue.ts";
import { Uplink, type UplinkOptions } from "../../agent/src/uplink/uplink.ts";
import type { Teardown } from "../support/teardown.ts";
import { type LogLine, recordedLog } from "./support.ts";

export const streamOf = (symbol: string, id = 1): Stream => ({
  id,
  venue: "v",
  symbol,
  topic: `ticks/v/${symbol}/pi-7`,
  lastTopic: `last/v/${symbol}/pi-7`,
});

export const stream = streamOf("S");

export const tick = (position: number): BufferedTick => ({
  position,
  stream,
  payload: String(position),
  bufferedTimeMs: 5,
});

/** A queue of `size` ticks, made as they are taken. */
export class Ticks implements TickQueue {
  settled = 0;
  newest: BufferedTick[] = [];
  readonly #make: (position: number) => BufferedTick;
  #taken = 0;
  #size: number;
  #readable = (): void => {};

  constructor(size: number, make: (position: number) => BufferedTick = tick) {
    this.#size = size;
    this.#make = make;
  }

  add(count: number): void {
    this.#size += count;
    this.#readable();
  }

  take(): BufferedTick | undefined {
    if (this.#taken === this.#size) return undefined;
    this.#taken += 1;
    return this.#make(this.#taken);
  }

  settle(position: number): void {
    this.settled = position;
  }

  isEmpty(): boolean {
    return this.#taken === this.#size;
  }

  onReadable(callback: () => void): void {
    this.#readable = callback;
  }

  takeNewest(): BufferedTick[] {
    return this.newest.splice(0);
  }
}

export interface StartedUplink {
  uplink: Uplink;
  lines: LogLine[];
  stop: () => Promise<void>;
}

export function startUplink(
  t: Teardown,
  urls: readonly string[],
  queue: TickQueue,
  options: Partial<UplinkOptions> = {},
): StartedUplink {
  const { logger, lines } = recordedLog();
  const uplink = new Uplink({
    agentId: "pi-7",
    urls,
    username: undefined,
    password: undefined,
    tls: () => ({}),
    window: 10,
    lingerMs: 0,
    maxBatch: 100,
    payload: "json",
    keepaliveS: 15,
    ackTimeoutMs: 900_000,
    maxBackoffMs: 50,
    will: () => ({ topic: "heartbeat/agents/pi-7", payload: '{"state":"down"}' }),
    connected: () => {},
    queue,
    clock: systemClock,
    random: Math.random,
    logger,
    ...options,
  });
  uplink.start();
  let stopped: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopped ??= uplink.stop();
    return stopped;
  };
  t.teardown(stop);
  return { uplink, lines, stop };
}

export const noFiles: TlsClientFiles = { caFile: undefined, certFile: undefined, keyFile: undefined };

/** Certificate files as flags; those of the agent begin with `uplink-`. */
export const flags = (prefix: string, files: Partial<TlsClientFiles>): string[] => {
  const names = { caFile: "ca-file", certFile: "cert-file", keyFile: "key-file" } as const;
  return Object.entries(files).flatMap(([name, path]) => [
    `--${prefix}${names[name as keyof typeof names]}`,
    path as string,
  ]);
};
