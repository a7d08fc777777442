/** Brokers of one cluster for tests, and what tests of it have in common. */
import { type BrokerOptions, declared, startBroker, type TestBroker } from "../../support/broker.ts";
import { skipUnless } from "../../support/debian.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { cli, startRedis, type TestRedis } from "../../support/redis.ts";
import type { Teardown } from "../../support/teardown.ts";
import { until } from "../../support/time.ts";
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
    const before = count(a, "engine.away");
    wire.refuse = true;
    for (const link of wire.links()) link.cut();
    await until(() => count(a, "engine.away") > before);
  };
  /** The connection on which something is said, perhaps only later. */
  const linkOf = async (said: string): Promise<WireLink> => {
    const find = () => wire.links().find((link) => link.said.includes(said));
    await until(() => find() !== undefined);
    return find() as WireLink;
  };
  return { redis, wire, a, b, cutOff, linkOf };
}

/** How often a broker has told an event. */
export function count({ program }: TestBroker, event: string): number {
  return program.lines.filter((line) => line.event === event).length;
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

/**
 * Resolves when what is published comes to a subscriber of another broker, which has to hear of its subscription first.
 * Nothing comes later of what was published to find out.
 */
export async function reaches(publisher: MqttClient, topic: string, subscriber: MqttClient): Promise<void> {
  let tries = 0;
  await until(async () => {
    const last = `probe ${++tries}`;
    await publisher.publish(topic, last);
    let text: string | undefined = "";
    while (text !== undefined && text !== last) text = await subscriber.receive(200).catch(() => undefined);
    return text === last;
  });
}

/** Resolves when a broker knows which queues there are now: its second beat comes after the answer to the first. */
export async function hears(redis: TestRedis, id: string): Promise<void> {
  const beat = (): string => cli(redis, "GET", cli(redis, "KEYS", `equipoise:{default}:broker:${id}#*`));
  for (let beats = 0; beats < 2; beats++) {
    const last = beat();
    await until(() => beat() !== last);
  }
}

const countUnsettled = `
local left = 0
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
  local noted = redis.call('HGET', KEYS[2], 'u' .. entry[1])
  if not noted then left = left + string.byte(entry[2][2], 2) end
  for at = 1, #(noted or '') do
    for place = 0, 7 do left = left + bit.band(bit.rshift(string.byte(noted, at), place), 1) end
  end
end
return left
`;

/** Messages of the pool of which the engine has not been told that they are done. */
export function unsettled(redis: TestRedis): number {
  const keys = ["equipoise:{default}:queue:p/ticks/#", "equipoise:{default}:state:p/ticks/#"];
  return Number(cli(redis, "EVAL", countUnsettled, "2", ...keys));
}

/** One field of the hash beside the pool's queue, and the length of its stream. */
export async function left(redis: TestRedis): Promise<string> {
  const length = cli(redis, "XLEN", "equipoise:{default}:queue:p/ticks/#");
  return `${length} entries, ${cli(redis, "HGET", "equipoise:{default}:state:p/ticks/#", "bytes")} bytes`;
}
