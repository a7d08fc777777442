/** Bytes per second and link of all network interfaces but the loopback, from Linux' own counters. */
import { readdir, readFile } from "node:fs/promises";
import type { AgentHeartbeat, Clock } from "@equipoise/shared";

export type Network = NonNullable<AgentHeartbeat["device"]["network"]>;

interface Counters {
  receivedBytes: number;
  sentBytes: number;
}

export class NetworkProbe {
  readonly #clock: Clock;
  #last: (Counters & { atMs: number }) | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Since the last call; 0 at the first. @throws the system's error where there are no such counters */
  async sample(): Promise<Network> {
    const now = {
      ...parseCounters(await readFile("/proc/net/dev", "utf8")),
      atMs: this.#clock.monotonicMs(),
    };
    const last = this.#last ?? now;
    this.#last = now;
    const seconds = Math.max(1, now.atMs - last.atMs) / 1_000;
    const perSecond = (to: number, from: number): number => Math.max(0, Math.round((to - from) / seconds));
    return {
      receivedBytesPerSecond: perSecond(now.receivedBytes, last.receivedBytes),
      sentBytesPerSecond: perSecond(now.sentBytes, last.sentBytes),
      link: await hasLink(),
    };
  }
}

/** @param text /proc/net/dev: two lines of headings, then `name: received bytes and 7 more, sent bytes and 7 more` */
export function parseCounters(text: string): Counters {
  const sum: Counters = { receivedBytes: 0, sentBytes: 0 };
  for (const line of text.split("\n").slice(2)) {
    const [name = "", values = ""] = line.split(":");
    if (values === "" || name.trim() === "lo") continue;
    const numbers = values.trim().split(/\s+/).map(Number);
    sum.receivedBytes += numbers[0] ?? 0;
    sum.sentBytes += numbers[8] ?? 0;
  }
  return sum;
}

async function hasLink(): Promise<boolean> {
  const names = (await readdir("/sys/class/net")).filter((name) => name !== "lo");
  const states = await Promise.all(names.map((name) => readFile(`/sys/class/net/${name}/operstate`, "utf8")));
  return states.some((state) => state.trim() === "up");
}
