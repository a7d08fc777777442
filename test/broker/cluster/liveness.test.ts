/** Who is taken for dead, and who is not because the engine was away. */
import { Redis } from "ioredis";
import { type Test, test } from "tap";
import { scripts } from "../../../broker/src/cluster/scripts/index.ts";
import { cli, startRedis } from "../../support/redis.ts";
import { skip } from "./brokers.ts";

const prefix = "equipoise:{default}:";
const lifetimeMs = 1_000;

async function startEngine(t: Test) {
  const redis = await startRedis(t);
  const client = new Redis(redis.port);
  t.teardown(() => client.disconnect());
  const beatOf = (broker: string) => [scripts.beat, 1, prefix, broker, lifetimeMs] as const;
  /** @returns those that it has found dead */
  const beat = async (broker: string): Promise<unknown> =>
    ((await client.eval(...beatOf(broker))) as unknown[])[1];
  /** As it is after so long without a word from anybody. */
  const silence = (ms: number): unknown => cli(redis, "SET", `${prefix}beat`, String(Date.now() - ms));
  return { redis, client, beatOf, beat, silence };
}

test("after a time in which nobody was heard of nobody is dead, also when it was shorter than a life", {
  skip,
}, async (t) => {
  const { redis, client, beatOf, beat, silence } = await startEngine(t);
  const alive = `${prefix}broker:late#1`;
  await beat("late#1");
  await beat("soon#1");
  for (const hasEnded of [true, false]) {
    // One had told that it lives a little earlier than the other.
    if (hasEnded) cli(redis, "DEL", alive);
    else cli(redis, "PEXPIRE", alive, "100");
    silence(900);
    t.same(await beat("soon#1"), []);
    t.ok((await client.pttl(alive)) > lifetimeMs / 2, "it has its time anew");
  }
  const steps = client
    .multi()
    .eval(...beatOf("soon#1"))
    .del(alive)
    .eval(...beatOf("soon#1"));
  const [, reply] = (await steps.exec())?.at(-1) ?? [];
  t.same((reply as unknown[])[1], ["late#1"], "while the engine is there");
});

test("a last broker that is slow itself finds the others dead all the same", { skip }, async (t) => {
  const { redis, beat, silence } = await startEngine(t);
  await beat("gone#1");
  await beat("last#1");
  const found: unknown[] = [];
  for (let n = 0; n < 5; n += 1) {
    cli(redis, "DEL", `${prefix}broker:gone#1`);
    silence(600);
    found.push(await beat("last#1"));
  }
  t.same(found, [[], [], [], ["gone#1"], []]);
});
