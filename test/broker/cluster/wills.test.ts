import { Redis } from "ioredis";
import { test } from "tap";
import { scripts } from "../../../broker/src/cluster/scripts/index.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { cli } from "../../support/redis.ts";
import { until } from "../../support/time.ts";
import { skip, startTwo } from "./brokers.ts";

const prefix = "equipoise:{default}:";
const lifetimeMs = 1_000;

test("a will is published although the broker that found its own dead dies, too", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t);
  const will = { topic: "wills/x", payload: Buffer.from("gone"), qos: 1, retain: false };
  await MqttClient.connect(t, a.port, "mortal", { will });
  const subscriber = await MqttClient.connect(t, b.port, "heir");
  await subscriber.subscribe("wills/#");
  // The engine cannot tell it from a broker that is killed as soon as it has found the other one dead.
  const ghost = new Redis(redis.port);
  t.teardown(() => ghost.disconnect());
  const beat = (): Promise<unknown> => ghost.eval(scripts.beat, 1, prefix, "ghost#1", lifetimeMs);
  await beat();
  const [alive = ""] = await ghost.keys(`${prefix}broker:a#*`);
  await a.program.stop("SIGKILL");
  // In one step, or the other one may be the first to find out.
  const finding = ghost.multi().del(alive).eval(scripts.beat, 1, prefix, "ghost#1", lifetimeMs);
  const [, [, reply] = []] = (await finding.exec()) ?? [];
  const [, dead] = reply as unknown[];
  t.match(dead, [/^a#/], "found by the one that dies");
  t.equal(await subscriber.receive(), "gone");
  await until(() => cli(redis, "EXISTS", `${prefix}heirs`) === "0");
  t.same(await subscriber.settle(), [], "once");
  t.equal(cli(redis, "KEYS", `${prefix}wills:*`), "");
});
