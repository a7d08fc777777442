/** What tests of ordered pools in a cluster have in common. */
import type { TestBroker } from "../../support/broker.ts";
import type { MqttClient } from "../../support/mqtt-client.ts";
import { cli, type TestRedis } from "../../support/redis.ts";

const queue = "p/ticks/#";
const prefix = "equipoise:{default}:";
const shards = 16;

export const keyTopic = (key: number | string): string => `ticks/v/s${key}/x`;

export const names = {
  layouts: `${prefix}layouts`,
  registry: `${prefix}registry`,
  version: `${prefix}version`,
  state: `${prefix}state:${queue}`,
  shards: `${prefix}shards:${queue}`,
  shard: (number: number) => `${prefix}shards:${queue}#${number}`,
} as const;

/** Entries in all shards of the pool's queue, with what the engine counts for it. */
export function leftInShards(redis: TestRedis): string {
  const lengths = Array.from({ length: shards }, (_, n) => Number(cli(redis, "XLEN", names.shard(n))));
  const entries = lengths.reduce((sum, length) => sum + length, 0);
  return `${entries} entries, ${Number(cli(redis, "HGET", names.state, "messages"))} messages`;
}

/** Shards that a broker has said to own. */
export function ownedBy({ program }: TestBroker): number {
  const said = program.lines.filter(({ event }) => event === "pool.shards").at(-1);
  return Number(said?.shards ?? 0);
}

/**
 * Messages `key number` in the order in which they first came to any of the members, each acknowledged.
 * @param before those that had come already
 */
export async function firstReceived(
  members: readonly MqttClient[],
  count: number,
  before: readonly string[] = [],
): Promise<string[]> {
  const received = new Set(before);
  await Promise.all(
    members.map(async (member) => {
      while (received.size < count && !member.isClosed) {
        const text = await member.receive(200).catch(() => undefined);
        if (text !== undefined) received.add(text);
      }
    }),
  );
  return [...received];
}

/** Messages that came before an earlier one of their key. */
export function overtakers(texts: Iterable<string>): string[] {
  const next = new Map<string, number>();
  const wrong: string[] = [];
  for (const text of texts) {
    const [key = "", number] = text.split(" ");
    const expected = next.get(key) ?? 0;
    if (Number(number) !== expected) wrong.push(`${text} after ${expected - 1}`);
    next.set(key, Math.max(expected, Number(number) + 1));
  }
  return wrong;
}

/** Publishes `rounds` messages of each of so many keys, and waits until all are acknowledged. */
export async function publishKeys(
  publisher: MqttClient,
  keys: number,
  rounds: number,
  from = 0,
): Promise<void> {
  for (let n = from; n < from + rounds; n++)
    for (let key = 0; key < keys; key++) publisher.sendPublish(keyTopic(key), `${key} ${n}`);
  for (let left = keys * rounds; left > 0; left--) await publisher.next("puback");
}
