/** Brokers of one cluster for tests, and what tests of it have in common. */
import { spawnSync } from "node:child_process";
import { type BrokerOptions, startBroker } from "../../support/broker.ts";
import { skipUnless } from "../../support/debian.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { startRedis, type TestRedis } from "../../support/redis.ts";

type Teardown = { teardown(callback: () => unknown): unknown };

export const skip = skipUnless("redis-server", "redis-server");
export const declared = (options: object = {}): string[] => [
  "--pools",
  JSON.stringify([{ name: "p", filters: ["ticks/#"], ...options }]),
];
export const share = "$share/p/ticks/#";
export const topic = "ticks/v/s/x";

export function startMember(t: Teardown, url: string, id: string, options: BrokerOptions = {}) {
  const args = ["--durability", "cluster", "--redis", url, "--broker-id", id, ...(options.args ?? [])];
  return startBroker(t, { ...options, args });
}

/** Two brokers with the same declared pool. */
export async function startTwo(t: Teardown, options: object = {}, more: readonly string[] = []) {
  const redis = await startRedis(t);
  const args = [...declared(options), ...more];
  const [a, b] = await Promise.all(["a", "b"].map((id) => startMember(t, redis.url, id, { args })));
  if (a === undefined || b === undefined) throw new Error("unreachable");
  return { redis, a, b };
}

export async function join(t: Teardown, port: number, id: string): Promise<MqttClient> {
  const member = await MqttClient.connect(t, port, id);
  await member.subscribe(share);
  return member;
}

/** Takes messages until all of them have come, whoever gets them, and acknowledges each. */
export async function receiveAll(
  members: readonly MqttClient[],
  count: number,
): Promise<Map<string, number>> {
  const received = new Map<string, number>();
  await Promise.all(
    members.map(async (member) => {
      while (received.size < count) {
        const text = await member.receive(200).catch(() => undefined);
        if (text !== undefined) received.set(text, (received.get(text) ?? 0) + 1);
      }
    }),
  );
  return received;
}

export async function publishAll(publisher: MqttClient, count: number): Promise<void> {
  for (let n = 0; n < count; n++) publisher.sendPublish(topic, `tick ${n}`);
  for (let n = 0; n < count; n++) await publisher.next("puback");
}

/** What the engine answers to one command. */
export function cli({ port }: TestRedis, ...args: string[]): string {
  return spawnSync("redis-cli", ["-p", String(port), ...args], { encoding: "utf8" }).stdout.trim();
}

/** One field of the hash beside the pool's queue, and the length of its stream. */
export async function left(redis: TestRedis): Promise<string> {
  const length = cli(redis, "XLEN", "equipoise:{default}:queue:p/ticks/#");
  return `${length} entries, ${cli(redis, "HGET", "equipoise:{default}:state:p/ticks/#", "bytes")} bytes`;
}

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(what: () => boolean | Promise<boolean>, waitMs = 10_000): Promise<void> {
  const deadline = performance.now() + waitMs;
  while (!(await what())) {
    if (performance.now() > deadline) throw new Error("it did not become so");
    await pause(5);
  }
}
