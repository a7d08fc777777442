/** An engine that is not what it was: emptied, configured anew, or without its replica. */
import { type Test, test } from "tap";
import { MqttClient } from "../../support/mqtt-client.ts";
import { cli, startRedis, startReplica } from "../../support/redis.ts";
import { until } from "../../support/time.ts";
import { count, skip, startMember, startTwo } from "./brokers.ts";

async function startSessions(t: Test) {
  const { redis, a, b } = await startTwo(t);
  const here = await MqttClient.connect(t, a.port, "here", { clean: false });
  await here.subscribe("here/#");
  const away = await MqttClient.connect(t, a.port, "away", { clean: false });
  await away.subscribe("away/#");
  await away.disconnect();
  await until(() => cli(redis, "HLEN", "equipoise:{default}:sessions") === "2");
  return { redis, a, b, here };
}

/** A broker that has only the engine to know sessions from, and messages for them. */
async function requireSessions(t: Test, url: string, here: MqttClient): Promise<void> {
  const { port } = await startMember(t, url, "c");
  const away = await MqttClient.connect(t, port, "away", { clean: false });
  t.equal(away.sessionPresent, true);
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (const topic of ["here/x", "away/x"]) await publisher.publish(topic, topic);
  t.equal(await here.receive(), "here/x");
  t.equal(await away.receive(), "away/x");
}

const sessionsOf = (redis: Parameters<typeof cli>[0]): string =>
  cli(redis, "HLEN", "equipoise:{default}:sessions");
const queuesOf = (redis: Parameters<typeof cli>[0]): string =>
  cli(redis, "HLEN", "equipoise:{default}:registry");

test("sessions are known again to an engine that was emptied", { skip }, async (t) => {
  const { redis, here } = await startSessions(t);
  cli(redis, "FLUSHALL");
  await until(() => sessionsOf(redis) === "2" && queuesOf(redis) === "3");
  await requireSessions(t, redis.url, here);
});

test("sessions are known again to an engine that comes back empty", { skip }, async (t) => {
  const { redis, here } = await startSessions(t);
  await redis.program.stop("SIGKILL");
  const empty = await startRedis(t, { port: redis.port });
  await until(() => sessionsOf(empty) === "2" && queuesOf(empty) === "3");
  await requireSessions(t, empty.url, here);
});

test("an engine that would evict is of no use when it comes back either", { skip }, async (t) => {
  const redis = await startRedis(t);
  const a = await startMember(t, redis.url, "a");
  const { program } = a;
  cli(redis, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru");
  cli(redis, "CLIENT", "KILL", "TYPE", "normal");
  const unfit = (): number =>
    program.lines.filter(({ event, reason }) => event === "engine.away" && /policy/.test(String(reason)))
      .length;
  await until(() => unfit() > 0);
  const before = count(a, "engine.here");
  cli(redis, "CONFIG", "SET", "maxmemory-policy", "noeviction");
  await until(() => count(a, "engine.here") > before);
  t.equal(unfit(), 1, "said once");
});

test("a subscription of a kept session is confirmed when enough replicas have it", { skip }, async (t) => {
  const primary = await startRedis(t);
  const replica = await startReplica(t, primary);
  const { port } = await startMember(t, primary.url, "a", { args: ["--cluster-min-replicas", "1"] });
  const client = await MqttClient.connect(t, port, "x", { clean: false });
  await client.subscribe("x/1");
  replica.program.child.kill("SIGSTOP");
  client.send({ cmd: "subscribe", messageId: 2, subscriptions: [{ topic: "x/2", qos: 1 }] });
  await t.rejects(client.next("suback", 500), "not while no replica has it");
  replica.program.child.kill("SIGCONT");
  await client.next("suback");
  t.match(cli(replica, "HGET", "equipoise:{default}:sessions", "x"), /x\/2/);
});
