/** What the engine refuses from a broker that does not own a shard any more. */
import { systemClock } from "@equipoise/shared";
import { type Test, test } from "tap";
import { engineAddress } from "../../../broker/src/cluster/address.ts";
import { Engine, type Reply } from "../../../broker/src/cluster/engine.ts";
import { Keys } from "../../../broker/src/cluster/keys.ts";
import { startRedis } from "../../support/redis.ts";
import { skip } from "./brokers.ts";

const queue = "p/#";
const layout = "1/16/topic";
const keys = new Keys("default");
const [key, state] = [keys.shards(queue), keys.state(queue)];
/** Version 1, one message, QoS 1: what is in it does not matter to the engine. */
const content = Buffer.from("\u0001\u0001\u0001frame", "latin1");

class World {
  readonly engine: Engine;

  constructor(engine: Engine) {
    this.engine = engine;
  }

  static async start(t: Test): Promise<World> {
    const redis = await startRedis(t);
    const address = engineAddress(redis.url);
    if (address === undefined) throw new Error("unreachable");
    const nothing = (): void => {};
    const engine = new Engine({
      ...{
        address,
        clock: systemClock,
        channels: ["news"],
        onHere: nothing,
        onAway: nothing,
        onMessage: nothing,
      },
    });
    await engine.start();
    t.teardown(() => engine.stop());
    await engine.run("open", [keys.prefix], [queue, "{}", "0", layout]);
    return new World(engine);
  }

  live(...brokers: string[]): Promise<Reply> {
    return this.engine.ask("DEL", keys.brokers).then(() => this.engine.ask("SADD", keys.brokers, ...brokers));
  }

  async balance(broker: string, perSecond: number, held: readonly (string | number)[] = []) {
    const args = [queue, broker, perSecond, 16, layout, ...held];
    const reply = await this.engine.run("balance", [keys.prefix], args);
    const [given, lost, excess] = reply as [[number, Buffer][], number[], number];
    return { given: new Map(given.map(([shard, mark]) => [shard, String(mark)])), lost, excess };
  }

  async append(batch: number): Promise<void> {
    const names = [
      ...[keys.appended("x"), keys.registry, keys.calls, keys.layouts, keys.waiting, keys.brokers],
      ...[key, state],
    ];
    await this.engine.run("append", names, [batch, 60_000, "x", queue, -1, layout, 0, 1, 3, content]);
  }

  async take(mark: string): Promise<{ lost: number[]; ids: string[] }> {
    const reply = await this.engine.run("takeShards", [keys.prefix], [queue, 10, 10, 3, mark, "-"]);
    const [lost, , entries] = reply as [number[], number, [number, Buffer][]];
    return { lost, ids: entries.map(([, id]) => String(id)) };
  }

  /** Returns how many messages the queue has then, and how many entries were refused. */
  async settle(mark: string, id: string): Promise<{ messages: number; refused: number }> {
    const args = [3, mark, 1, id, 1, content.length, "0", 0];
    const [totals] = (await this.engine.run("settle", [`${key}#3`, state, key], args)) as [
      number,
      number,
      number,
    ][];
    return { messages: totals?.[1] as number, refused: totals?.[2] as number };
  }
}

test("what a broker tells of a shard that another one owns now is refused", { skip }, async (t) => {
  const world = await World.start(t);
  await world.live("a");
  const old = (await world.balance("a", 100)).given.get(3) as string;
  await world.append(1);
  const { ids } = await world.take(old);
  t.equal(ids.length, 1);
  const [id = ""] = ids;
  await world.live("b");
  const mark = (await world.balance("b", 100)).given.get(3) as string;
  t.ok(Number.parseInt(mark, 10) > Number.parseInt(old, 10), "the mark grows with every change of owner");

  t.same(await world.settle(old, id), { messages: 1, refused: 1 }, "a settlement");
  t.equal(await world.engine.run("attemptOfShard", [state, key], [3, old, id, "[]"]), 0, "an attempt");
  t.equal(await world.engine.run("bury", [keys.dead("p"), key], ["{}", 10, 3, old]), -1, "a dead letter");
  t.equal(await world.engine.run("yieldShard", [keys.prefix], [queue, 3, old]), 0, "its yielding");
  t.same(await world.take(old), { lost: [3], ids: [] }, "its taking");
  t.equal(await world.engine.ask("EXISTS", keys.dead("p")), 0);

  t.same(await world.take(mark), { lost: [], ids }, "the new owner begins with what is left");
  t.same(await world.settle(mark, id), { messages: 0, refused: 0 });
});

test("shards are divided by what members can do, and only what is free is given", { skip }, async (t) => {
  const world = await World.start(t);
  await world.live("a", "b", "c");
  const { given } = await world.balance("a", 300);
  t.equal(given.size, 16, "alone it has all");
  const held = [...given].flat();
  t.equal((await world.balance("b", 100)).given.size, 0, "what has a living owner is not taken");
  t.equal((await world.balance("a", 300, held)).excess, 4);
  for (const [shard, mark] of [...given].slice(0, 4))
    await world.engine.run("yieldShard", [keys.prefix], [queue, shard, mark]);
  t.equal((await world.balance("b", 100)).given.size, 4);
  t.same(
    await world.balance("a", 300, held.slice(8)),
    { given: new Map(), lost: [], excess: 0 },
    "and it rests",
  );
  t.equal((await world.balance("c", 0)).given.size, 0, "without members a broker owns none");
  await world.live("b", "c");
  t.equal(
    (await world.balance("b", 100)).given.size,
    12 + 4,
    "the dead one's, and its own whose marks it has lost",
  );
});

test("a shard that a broker does not want goes to another one", { skip }, async (t) => {
  const world = await World.start(t);
  await world.live("a", "b");
  const unwanted = Array.from({ length: 16 }, (_, shard) => [
    shard,
    shard % 2 === 0 ? "-" : "old mark",
  ]).flat();
  const { given } = await world.balance("a", 100, unwanted);
  t.equal(given.size, 8);
  t.ok([...given.keys()].every((shard) => shard % 2 === 1));
});
