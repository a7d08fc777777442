/** Brokers of one cluster for tests, and what tests of it have in common. */
import { type BrokerOptions, declared, startBroker } from "../../support/broker.ts";
import { skipUnless } from "../../support/debian.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { cli, startRedis, type TestRedis } from "../../support/redis.ts";
import type { Teardown } from "../../support/teardown.ts";
import { startWire, type WireLink } from "../../support/wire.ts";

export const skip = skipUnless("redis-server", "redis-server");
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

/** Two brokers, the first of which reaches the engine through a wire. */
export async function startAcrossWire(t: Teardown, ...args: string[]) {
  const redis = await startRedis(t);
  const wire = await startWire(t, redis.port);
  const a = await startMember(t, `redis://127.0.0.1:${wire.port}`, "a", { args });
  const b = await startMember(t, redis.url, "b", { args });
  /** Until nothing refuses any more the first one is without the engine. */
  const cutOff = async (): Promise<void> => {
    wire.refuse = true;
    for (const link of wire.links()) link.cut();
    await a.program.event("engine.away");
  };
  const linkOf = (said: string): WireLink => {
    const found = wire.links().find((link) => link.said.includes(said));
    if (found === undefined) throw new Error(`nobody has said ${said}`);
    return found;
  };
  return { redis, wire, a, b, cutOff, linkOf };
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

/** One field of the hash beside the pool's queue, and the length of its stream. */
export async function left(redis: TestRedis): Promise<string> {
  const length = cli(redis, "XLEN", "equipoise:{default}:queue:p/ticks/#");
  return `${length} entries, ${cli(redis, "HGET", "equipoise:{default}:state:p/ticks/#", "bytes")} bytes`;
}
