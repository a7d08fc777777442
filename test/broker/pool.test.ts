import { test } from "tap";
import { declared, startBroker } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import { until } from "../support/time.ts";

const share = "$share/p/ticks/#";

test("every message goes to exactly one member of each pool, and to every plain subscriber", async (t) => {
  const { port } = await startBroker(t);
  const [a, b, other, plain] = await Promise.all(
    ["a", "b", "other", "plain"].map((id) => MqttClient.connect(t, port, id)),
  );
  if (!a || !b || !other || !plain) return;
  await a.subscribe(share);
  await b.subscribe(share);
  await other.subscribe("$share/q/ticks/#");
  await plain.subscribe("ticks/#");
  const publisher = await MqttClient.connect(t, port, "publisher");
  const sent = Array.from({ length: 30 }, (_, number) => `m${number}`);
  for (const text of sent) await publisher.publish("ticks/v/s/x", text);
  const got = async (client: MqttClient) => (await client.settle()).map(({ payload }) => payload.toString());
  const [fromA, fromB] = [await got(a), await got(b)];
  t.same([...fromA, ...fromB].sort(), sent.toSorted(), "each once over both members");
  t.ok(fromA.length > 0 && fromB.length > 0, `shares ${fromA.length} and ${fromB.length}`);
  t.same(
    await got(other),
    sent.slice(0, 16),
    "another pool gets its own copy, as far as its member has credit",
  );
  t.same(await got(plain), sent, "a plain subscriber gets all, in order");
});

test("a member gets no more than its credit until it acknowledges", async (t) => {
  const { port } = await startBroker(t);
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe(share);
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (let number = 0; number < 60; number++) await publisher.publish("ticks/v/s/x", `m${number}`);
  t.equal((await member.settle()).length, 16);
  for (let number = 0; number < 60; number++) t.equal(await member.receive(), `m${number}`);
});

test("what a member held when its connection broke goes to another, in order and without DUP", async (t) => {
  const { port } = await startBroker(t);
  const first = await MqttClient.connect(t, port, "first");
  await first.subscribe(share);
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (let number = 0; number < 5; number++) await publisher.publish("ticks/v/s/x", `m${number}`);
  t.equal((await first.settle()).length, 5);
  const second = await MqttClient.connect(t, port, "second");
  await second.subscribe(share);
  first.drop();
  for (let number = 0; number < 5; number++) {
    const packet = await second.next("publish");
    t.equal(packet.payload.toString(), `m${number}`);
    t.equal(packet.dup, false, "for this client it is the first delivery");
    second.puback(packet.messageId);
  }
});

test("a rejected message goes to another member first, and to the same one when there is no other", async (t) => {
  const { port } = await startBroker(t);
  const first = await MqttClient.connect(t, port, "first");
  await first.subscribe(share);
  const publisher = await MqttClient.connect(t, port, "publisher");
  await publisher.publish("ticks/v/s/x", "poison");
  const { messageId } = await first.next("publish");
  const reject = (client: MqttClient, id: string, packetId: number) =>
    client.sendPublish(`members/${id}/reject`, JSON.stringify({ packetId, reason: "cannot" }));
  reject(first, "first", messageId);
  const again = await first.next("publish");
  t.equal(again.payload.toString(), "poison");
  const second = await MqttClient.connect(t, port, "second");
  await second.subscribe(share);
  reject(first, "first", again.messageId);
  t.equal((await second.next("publish")).payload.toString(), "poison");
  t.same(await first.settle(), []);
});

test("a client that speaks in another's name is closed", async (t) => {
  const { port, program } = await startBroker(t);
  for (const topic of [
    "heartbeat/members/other",
    "members/other/reject",
    "heartbeat/brokers/x",
    "heartbeat/agents/other",
  ]) {
    const client = await MqttClient.connect(t, port, "me");
    client.sendPublish(topic, "{}");
    await client.closed;
    t.pass(topic);
  }
  const line = await program.line(
    ({ event, reason }) => event === "connection.closed" && reason === "notAuthorised",
  );
  t.match(line.detail, /heartbeat\/members\/other/);
});

test("a member that reports draining gets nothing new and finishes what it has", async (t) => {
  const { port } = await startBroker(t);
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe(share);
  const publisher = await MqttClient.connect(t, port, "publisher");
  await publisher.publish("ticks/v/s/x", "before");
  const held = await member.next("publish");
  member.sendPublish("heartbeat/members/member", JSON.stringify({ state: "draining" }), { qos: 1 });
  await member.next("puback");
  await publisher.publish("ticks/v/s/x", "after");
  t.same(await member.settle(), []);
  member.puback(held.messageId);
  const other = await MqttClient.connect(t, port, "other");
  await other.subscribe(share);
  t.equal(await other.receive(), "after");
});

test("a declared pool keeps its messages without members, and its filters decide which", async (t) => {
  const { port } = await startBroker(t, { args: declared({ strategy: "round_robin" }) });
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (let number = 0; number < 3; number++) await publisher.publish("ticks/v/s/x", `m${number}`);
  await publisher.publish("elsewhere", "not for the pool");
  const late = await MqttClient.connect(t, port, "late");
  await late.subscribe(share);
  t.same([await late.receive(), await late.receive(), await late.receive()], ["m0", "m1", "m2"]);
  t.same(await late.settle(), []);
});

test("a full declared pool withholds the PUBACKs of who feeds it, and only those, until it is relieved", async (t) => {
  const { port, program } = await startBroker(t, { args: declared({ maxBacklogBytes: "4kB" }) });
  const publisher = await MqttClient.connect(t, port, "publisher");
  const pressed = (): boolean => program.lines.some(({ event }) => event === "pool.pressed");
  const acknowledged = (): number => publisher.inbox.filter(({ cmd }) => cmd === "puback").length;
  let sent = 0;
  const send = (): void => {
    publisher.sendPublish("ticks/v/s/x", "x".repeat(200));
    sent++;
  };
  while (!pressed()) {
    send();
    await until(() => pressed() || acknowledged() === sent);
  }
  send();
  await publisher.settle();
  const bystander = await MqttClient.connect(t, port, "bystander");
  // It is stored, and so is by then what was sent before.
  await bystander.publish("elsewhere", "goes through", { retain: true });
  await publisher.settle();
  const before = acknowledged();
  t.ok(before >= 10 && before < sent, `${before} of ${sent} acknowledged; pings are still answered`);
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe(share);
  for (let number = 0; number < sent; number++) await member.receive();
  await until(() => acknowledged() === sent);
  t.pass("the withheld PUBACK came");
  await program.event("pool.relieved");
});

test("an undeclared pool without members drops its oldest messages, never the publisher", async (t) => {
  const { port, program } = await startBroker(t, { args: ["--undeclared-pools-max-backlog-bytes", "4kB"] });
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe(share);
  await member.disconnect();
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (let number = 0; number < 60; number++)
    await publisher.publish("ticks/v/s/x", `m${number}`.padEnd(200));
  await program.event("pool.dropped");
  const again = await MqttClient.connect(t, port, "member");
  await again.subscribe(share);
  const first = Number((await again.receive()).trim().slice(1));
  t.ok(first > 30 && first < 60, `the oldest kept is ${first}`);
});

test("an undeclared pool goes some time after its last member", async (t) => {
  const { port, program } = await startBroker(t, { args: ["--undeclared-pools-remove-after-ms", "200"] });
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe(share);
  await member.disconnect();
  const removed = await program.event("pool.removed");
  t.equal(removed.pool, "p");
});
