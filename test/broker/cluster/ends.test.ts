/** Sessions that end, and whose they are, while brokers and the engine come and go. */
import { test } from "tap";
import { MqttClient } from "../../support/mqtt-client.ts";
import type { Line } from "../../support/program.ts";
import { cli, startRedis } from "../../support/redis.ts";
import { pause, until } from "../../support/time.ts";
import { count, skip, startAcrossWire, startMember } from "./brokers.ts";

test("a session that ended while the engine was away leaves nothing to the next one", { skip }, async (t) => {
  const redis = await startRedis(t);
  const a = await startMember(t, redis.url, "a");
  const old = await MqttClient.connect(t, a.port, "x", { clean: false });
  await old.subscribe("x/#");
  await old.disconnect();
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  await publisher.publish("x/1", "old");
  const before = count(a, "engine.here");
  redis.program.child.kill("SIGSTOP");
  await a.program.event("engine.away");
  const clean = await MqttClient.connect(t, a.port, "x");
  await clean.disconnect();
  redis.program.child.kill("SIGCONT");
  await until(() => count(a, "engine.here") > before);
  await until(() => cli(redis, "EXISTS", "equipoise:{default}:queue:/x") === "0");
  const next = await MqttClient.connect(t, a.port, "x", { clean: false });
  t.equal(next.sessionPresent, false);
  await next.subscribe("x/#");
  await publisher.publish("x/1", "new");
  t.equal(await next.receive(), "new");
});

test("a session lives on everywhere while its client is connected to a broker that was frozen", {
  skip,
}, async (t) => {
  const redis = await startRedis(t);
  const args = ["--limits-session-expire-after-ms", "3000"];
  const [a, b] = await Promise.all(["a", "b"].map((id) => startMember(t, redis.url, id, { args })));
  if (a === undefined || b === undefined) throw new Error("unreachable");
  const client = await MqttClient.connect(t, a.port, "x", { clean: false });
  await client.subscribe("x/#");
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  await publisher.publish("x/1", "before");
  t.equal(await client.receive(), "before");
  a.program.child.kill("SIGSTOP");
  await b.program.event("broker.dead");
  a.program.child.kill("SIGCONT");
  await a.program.event("broker.takenForDead");
  // It would have expired before one that is left only now.
  const other = await MqttClient.connect(t, b.port, "other", { clean: false });
  await other.disconnect();
  const expired = ({ event, clientId }: Line) => event === "session.expired" && clientId === "other";
  await Promise.race([a, b].map(({ program }) => program.line(expired)));
  t.notOk(b.program.lines.some(({ event, clientId }) => event === "session.expired" && clientId === "x"));
  await publisher.publish("x/1", "after");
  // What was acknowledged just before the freeze may come again.
  const texts = [await client.receive()];
  if (texts[0] === "before") texts.push(await client.receive());
  t.equal(texts.at(-1), "after");
});

test("what the engine knows of a session goes when the session expires", { skip }, async (t) => {
  const redis = await startRedis(t);
  const args = ["--limits-session-expire-after-ms", "500"];
  const [a, b] = await Promise.all(["a", "b"].map((id) => startMember(t, redis.url, id, { args })));
  if (a === undefined || b === undefined) throw new Error("unreachable");
  const client = await MqttClient.connect(t, a.port, "x", { clean: false });
  await client.subscribe("x/#");
  await client.disconnect();
  await Promise.race([a, b].map(({ program }) => program.event("session.expired")));
  await until(() => cli(redis, "HLEN", "equipoise:{default}:sessions") === "0");
  await pause(500);
  t.equal(cli(redis, "HLEN", "equipoise:{default}:owners"), "0");
  t.equal(cli(redis, "HLEN", "equipoise:{default}:registry"), "0");
  t.equal(cli(redis, "EXISTS", "equipoise:{default}:queue:/x"), "0");
});

test("a client that moved while its broker had no engine is gone from there afterwards", {
  skip,
}, async (t) => {
  const { wire, a, b, cutOff } = await startAcrossWire(t);
  const first = await MqttClient.connect(t, a.port, "x");
  await cutOff();
  const second = await MqttClient.connect(t, b.port, "x");
  wire.refuse = false;
  await first.closed;
  t.same(await second.settle(), []);
});

test("a client that connects to two brokers at once stays with one", { skip }, async (t) => {
  const { redis, linkOf, a, b } = await startAcrossWire(t);
  const first = await MqttClient.open(t, a.port);
  const main = await linkOf("LOAD");
  main.holdAnswers();
  first.sendConnect("x");
  await until(() => cli(redis, "HGET", "equipoise:{default}:owners", "x").startsWith("a#"));
  await MqttClient.connect(t, b.port, "x");
  main.releaseAnswers();
  await first.closed;
  t.pass("gone from the first");
});

test("clients that have gone while the engine was away are not known to it for ever", { skip }, async (t) => {
  const redis = await startRedis(t);
  const a = await startMember(t, redis.url, "a");
  const client = await MqttClient.connect(t, a.port, "gone");
  await until(() => cli(redis, "HLEN", "equipoise:{default}:owners") === "1");
  redis.program.child.kill("SIGSTOP");
  await a.program.event("engine.away");
  await client.disconnect();
  redis.program.child.kill("SIGCONT");
  await until(() => cli(redis, "HLEN", "equipoise:{default}:owners") === "0");
  t.pass("it has forgotten");
});
