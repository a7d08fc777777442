import { test } from "tap";
import { declared, startBroker } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { startRedis, startReplica, startSentinels } from "../../support/redis.ts";
import { until } from "../../support/time.ts";
import { count, join, publishAll, receiveAll, skip, topic } from "./brokers.ts";

test("a Sentinel failover loses nothing that was acknowledged with minReplicas", { skip }, async (t) => {
  const primary = await startRedis(t);
  await startReplica(t, primary);
  const { url } = await startSentinels(t, primary.port);
  const args = ["--durability", "cluster", "--redis", url, "--cluster-min-replicas", "1", ...declared()];
  const broker = await startBroker(t, { args });
  const { port } = broker;
  const publisher = await MqttClient.connect(t, port, "publisher");
  await publishAll(publisher, 100);
  const before = [count(broker, "engine.away"), count(broker, "engine.here")] as const;
  await primary.program.stop("SIGKILL");
  const beganMs = performance.now();
  await until(() => count(broker, "engine.away") > before[0]);
  publisher.sendPublish(topic, "meanwhile");
  await until(() => count(broker, "engine.here") > before[1]);
  const awayMs = Math.round(performance.now() - beganMs);
  await t.rejects(publisher.next("puback", 500), "no PUBACK while no replica has it");
  await startRedis(t, { port: primary.port, directory: primary.directory });
  await publisher.next("puback", 60_000);
  const member = await join(t, port, "member");
  t.equal((await receiveAll([member], 101)).size, 101, `the engine was away for ${awayMs} ms`);
});
