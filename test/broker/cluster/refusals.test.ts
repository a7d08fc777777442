/** What a broker says when it cannot have the engine, and what it does with too few replicas. */
import { test } from "tap";
import { declared, temporaryDirectory } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { startProgram } from "../../support/program.ts";
import { cli, startRedis } from "../../support/redis.ts";
import { pause, until } from "../../support/time.ts";
import { hears, join, skip, startMember, topic } from "./brokers.ts";

test("of two brokers that start with one id at once, one is refused", { skip }, async (t) => {
  const redis = await startRedis(t);
  const programs = await Promise.all(
    [0, 1, 2].map(async () => {
      const dataDir = await temporaryDirectory(t);
      const args = ["--durability", "cluster", "--redis", redis.url, "--broker-id", "same"];
      return startProgram(t, "broker", ["--listen", "mqtt://127.0.0.1:0", "--data-dir", dataDir, ...args]);
    }),
  );
  const ends = await Promise.all(
    programs.map((program) =>
      Promise.race([
        program.exited.then(() => program.stderr),
        program.event("ready").then(() => "ready"),
      ]).catch(() => program.stderr),
    ),
  );
  t.equal(ends.filter((end) => end === "ready").length, 1, JSON.stringify(ends));
  t.equal(ends.filter((end) => end.startsWith("equipoise-broker: EQ_BROKER_ID_TAKEN:")).length, 2);
});

test("with too few replicas nothing is acknowledged, and what was stored before goes on to members", {
  skip,
}, async (t) => {
  const redis = await startRedis(t);
  const args = ["--cluster-min-replicas", "1", ...declared()];
  const [a, b] = await Promise.all(["a", "b"].map((id) => startMember(t, redis.url, id, { args })));
  if (a === undefined || b === undefined) throw new Error("unreachable");
  const known = [a, b].map(({ program }) => program.lines.length);
  const payload = "x".repeat(100_000);
  const publishers = await Promise.all(
    [...Array(4).keys()].map((n) => MqttClient.connect(t, a.port, `publisher-${n}`)),
  );
  for (let n = 0; n < 10; n++) for (const publisher of publishers) publisher.sendPublish(topic, payload);
  const member = await join(t, b.port, "member");
  await member.receive();
  await pause(3_000);
  const events = [a, b].flatMap(({ program }, at) =>
    program.lines.slice(known[at]).map(({ event }) => event),
  );
  t.notOk(events.includes("engine.away") || events.includes("broker.dead"), "all are well");
  t.notOk(publishers.some(({ inbox }) => inbox.some(({ cmd }) => cmd === "puback")));
});

test("a wrong password is refused in one line that does not show it", { skip }, async (t) => {
  const redis = await startRedis(t, { args: ["--requirepass", "right"] });
  for (const [url, what] of [
    [`redis://:sesame@127.0.0.1:${redis.port}`, /WRONGPASS/],
    [`redis://127.0.0.1:${redis.port}`, /NOAUTH/],
    [`redis://:%zz@127.0.0.1:${redis.port}`, /EQ_CONFIG_BAD_VALUE/],
    [`rediss://127.0.0.1:${redis.port}`, /EQ_ENGINE_AWAY/],
  ] as const) {
    const dataDir = await temporaryDirectory(t);
    const args = ["--durability", "cluster", "--redis", url, "--listen", "mqtt://127.0.0.1:0"];
    const program = startProgram(t, "broker", [...args, "--data-dir", dataDir]);
    t.not((await program.exited).code, 0);
    t.match(program.stderr, /^equipoise-broker: EQ_[A-Z_]+: .*\n$/);
    t.match(program.stderr, what);
    t.notMatch(program.stderr + JSON.stringify(program.lines), /sesame/);
  }
});

test("an engine that has lost what it had is said", { skip }, async (t) => {
  const redis = await startRedis(t);
  const a = await startMember(t, redis.url, "a", { args: declared() });
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  await publisher.publish(topic, "lost");
  const member = await MqttClient.connect(t, a.port, "plain", { clean: false });
  await member.subscribe("plain/#");
  await hears(redis, "a");
  cli(redis, "FLUSHALL");
  const { event } = await a.program.event("engine.rolledBack");
  t.ok(event);
  await until(async () => {
    await publisher.publish(topic, "after");
    const one = await join(t, a.port, "member");
    return (await one.receive(1_000).catch(() => "")) === "after";
  });
  await publisher.publish("plain/x", "after");
  t.equal(await member.receive(), "after");
});
