import { Redis } from "ioredis";
import { test } from "tap";
import { scripts } from "../../../broker/src/cluster/scripts/index.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { cli } from "../../support/redis.ts";
import { pause, until } from "../../support/time.ts";
import { skip, startTwo } from "./brokers.ts";

const prefix = "equipoise:{default}:";
/** Shorter than that of brokers, so that it is the first to find out. */
const ghostLifetimeMs = 850;

test("a will is published although the broker that found its own dead dies, too", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t);
  const will = { topic: "wills/x", payload: Buffer.from("gone"), qos: 1, retain: false };
  await MqttClient.connect(t, a.port, "mortal", { will });
  const subscriber = await MqttClient.connect(t, b.port, "heir");
  await subscriber.subscribe("wills/#");
  // The engine cannot tell it from a broker that is killed as soon as it has found the other one dead.
  const ghost = new Redis(redis.port);
  t.teardown(() => ghost.disconnect());
  const beat = (): Promise<unknown> => ghost.eval(scripts.beat, 1, prefix, "ghost#1", ghostLifetimeMs);
  await beat();
  await a.program.stop("SIGKILL");
  let dead: unknown = [];
  while (Array.isArray(dead) && dead.length === 0 && (await ghost.scard(`${prefix}brokers`)) === 3) {
    [, dead] = (await beat()) as unknown[];
    await pause(2);
  }
  t.match(dead, [/^a#/], "found by the one that dies");
  t.equal(await subscriber.receive(), "gone");
  await until(() => cli(redis, "EXISTS", `${prefix}heirs`) === "0");
  t.same(await subscriber.settle(), [], "once");
  t.equal(cli(redis, "KEYS", `${prefix}wills:*`), "");
});
