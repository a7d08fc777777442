/** What once broke, each as small as it can be shown. */
import { test } from "tap";
import { startBroker, temporaryDirectory } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import { pause } from "../support/time.ts";

const memory = ["--durability", "memory"];
const pools = (options: object): string[] => [
  "--pools",
  JSON.stringify([{ name: "p", filters: ["x/#"], ...options }]),
];
const share = "$share/p/x/#";
const texts = (client: MqttClient): string[] =>
  client.inbox.filter(({ cmd }) => cmd === "publish").map(({ payload }) => payload.toString());

test("a session that ends and begins again within one commit keeps the journal working", async (t) => {
  const { port } = await startBroker(t);
  const first = await MqttClient.connect(t, port, "keeper", { clean: false });
  await first.subscribe("a/#");
  await first.disconnect();
  await (await MqttClient.connect(t, port, "keeper", { clean: true })).disconnect();
  const again = await MqttClient.connect(t, port, "keeper", { clean: false });
  await again.subscribe("a/#");
  const publisher = await MqttClient.connect(t, port, "publisher");
  await publisher.publish("a/1", "stored");
  t.equal(await again.receive(), "stored");
});

test("one persistent session with several filters gets messages of one commit under all of them, also after a crash", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const first = await startBroker(t, { dataDir });
  const keeper = await MqttClient.connect(t, first.port, "keeper", { clean: false });
  await keeper.subscribe("a/#", 1);
  await keeper.subscribe("b/#", 0);
  await keeper.subscribe("c/#", 2);
  keeper.drop();
  // Until the broker has noticed, QoS 0 goes to whoever is no more.
  await first.program.event("connection.closed");
  const publisher = await MqttClient.connect(t, first.port, "publisher");
  publisher.socket.cork();
  for (const topic of ["a/1", "b/1", "c/1", "a/1"]) publisher.sendPublish(topic, topic);
  publisher.socket.uncork();
  for (let number = 0; number < 4; number++) await publisher.next("puback");
  await first.program.stop("SIGKILL");
  const second = await startBroker(t, { dataDir });
  const back = await MqttClient.connect(t, second.port, "keeper", { clean: false });
  const packets = [];
  for (let number = 0; number < 4; number++) packets.push(await back.next("publish"));
  packets.push(...(await back.settle()));
  t.same(packets.map(({ topic, qos }) => `${topic} ${qos}`).sort(), ["a/1 1", "a/1 1", "b/1 0", "c/1 1"]);
});

test("two chunks appended from within a commit's end are both acknowledged", async (t) => {
  const { port } = await startBroker(t);
  const client = await MqttClient.connect(t, port, "client", { clean: false });
  const count = 9_000;
  const frames = [Buffer.from([0x82, 6, 0, 1, 0, 1, 0x61, 1])];
  for (let id = 1; id <= count; id++) frames.push(Buffer.from([0x32, 5, 0, 1, 0x61, id >> 8, id & 0xff]));
  client.socket.write(Buffer.concat(frames));
  let acknowledged = 0;
  let received = 0;
  while (acknowledged < count || received < count) {
    await pause(5);
    if (client.isClosed) break;
    for (const packet of client.inbox.splice(0)) {
      if (packet.cmd === "puback") acknowledged++;
      if (packet.cmd !== "publish") continue;
      received++;
      client.puback(packet.messageId);
    }
  }
  t.same([acknowledged, received], [count, count]);
});

test("a member that unsubscribes while it holds part of a key does not stop the broker", async (t) => {
  const { port } = await startBroker(t, { args: [...memory, ...pools({ ordering: "key" })] });
  const leaver = await MqttClient.connect(t, port, "leaver");
  await leaver.subscribe(share);
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (let number = 0; number < 20; number++) await publisher.publish("x/1", `m${number}`);
  const stayer = await MqttClient.connect(t, port, "stayer");
  await stayer.subscribe(share);
  await leaver.unsubscribe(share);
  for (let number = 0; number < 16; number++) t.equal(await leaver.receive(), `m${number}`);
  for (let number = 16; number < 20; number++) t.equal(await stayer.receive(), `m${number}`);
});

test("a key goes on when the message ahead of it has become a dead letter", async (t) => {
  const { port } = await startBroker(t, { args: pools({ ordering: "key", maxDeliveries: 1 }) });
  const crashing = await MqttClient.connect(t, port, "crashing");
  await crashing.subscribe(share);
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (let number = 0; number < 18; number++) await publisher.publish("x/1", `m${number}`);
  await crashing.settle();
  const other = await MqttClient.connect(t, port, "other");
  await other.subscribe(share);
  crashing.drop();
  t.same([await other.receive(), await other.receive()], ["m16", "m17"]);
});

test("keys that are free go to idle members although one of them has filled another", async (t) => {
  const { port } = await startBroker(t, { args: [...memory, ...pools({ ordering: "key" })] });
  const first = await MqttClient.connect(t, port, "first");
  await first.subscribe(share);
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (let number = 0; number < 20; number++) await publisher.publish("x/1", `k1 ${number}`);
  await publisher.publish("x/2", "k2");
  const others = await Promise.all(["a", "b"].map((id) => MqttClient.connect(t, port, id)));
  for (const other of others) await other.subscribe(share);
  first.drop();
  while (!others.some((other) => texts(other).includes("k2"))) await pause(10);
  t.pass("the second key was delivered");
});

test("what an unsubscribed client holds of a removed pool is no danger when its connection breaks", async (t) => {
  const { port, program } = await startBroker(t, { args: ["--undeclared-pools-remove-after-ms", "200"] });
  const clients = [
    await MqttClient.connect(t, port, "clean"),
    await MqttClient.connect(t, port, "keeper", { clean: false }),
  ] as const;
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (const [at, client] of clients.entries()) {
    const filter = `$share/gone-${at}/x/#`;
    await client.subscribe(filter, 2);
    publisher.sendPublish("x/1", "m", { qos: 2, messageId: at + 1 });
    await client.next("publish");
    await client.unsubscribe(filter);
  }
  for (const at of clients.keys())
    await program.line(({ event, pool }) => event === "pool.removed" && pool === `gone-${at}`);
  for (const client of clients) client.drop();
  const back = await MqttClient.connect(t, port, "keeper", { clean: false });
  await back.settle();
  await publisher.settle();
  t.pass("the broker lives");
});

test("a message held by a client that has unsubscribed times out as well", async (t) => {
  const { port } = await startBroker(t, { args: [...memory, ...pools({ ackTimeoutMs: 300 })] });
  const leaver = await MqttClient.connect(t, port, "leaver");
  await leaver.subscribe(share);
  const publisher = await MqttClient.connect(t, port, "publisher");
  await publisher.publish("x/1", "m");
  await leaver.next("publish");
  await leaver.unsubscribe(share);
  const other = await MqttClient.connect(t, port, "other");
  await other.subscribe(share);
  t.equal(await other.receive(), "m");
});

test("whoever frees a place of a full window wakes all that wait for one", async (t) => {
  const { port } = await startBroker(t, { args: [...memory, ...pools({}), "--limits-max-in-flight", "1"] });
  const client = await MqttClient.connect(t, port, "client");
  await client.subscribe("y/#");
  await client.subscribe(share);
  const publisher = await MqttClient.connect(t, port, "publisher");
  await publisher.publish("y/1", "plain 1");
  await publisher.publish("y/1", "plain 2");
  const { messageId } = await client.next("publish");
  client.sendPublish("members/client/reject", JSON.stringify({ packetId: messageId, reason: "no" }));
  const second = await client.next("publish");
  t.equal(second.payload.toString(), "plain 1", "after a rejection the queue goes on, with the same message");
  await publisher.publish("x/1", "pooled");
  client.puback(second.messageId);
  const rest = [await client.receive(), await client.receive()].sort();
  t.same(rest, ["plain 2", "pooled"], "after the answer to a plain message the pool goes on, too");
});

test("a filter that the configuration does not name never holds a publisher back, in no pool", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const small = { maxBacklogBytes: "2kB" };
  const first = await startBroker(t, { dataDir, args: pools({ ...small, filters: ["x/#", "was/#"] }) });
  await first.program.stop();
  const args = [...pools(small), "--undeclared-pools-max-backlog-bytes", "2kB"];
  const { port } = await startBroker(t, { dataDir, args });
  const visitor = await MqttClient.connect(t, port, "visitor");
  await visitor.subscribe("$share/p/other/#");
  await visitor.unsubscribe("$share/p/other/#");
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (const topic of ["other/1", "was/1"]) {
    for (let number = 0; number < 60; number++) await publisher.publish(topic, "x".repeat(100));
    t.pass(topic);
  }
});

test("publishers that come to a full pool and go again leave nothing behind in it but their messages", async (t) => {
  const { port, program } = await startBroker(t, { args: [...memory, ...pools({ maxBacklogBytes: "1kB" })] });
  for (let number = 0; number < 40; number++) {
    const publisher = await MqttClient.connect(t, port, `publisher-${number}`);
    publisher.sendPublish("x/1", "x".repeat(100));
    await publisher.settle();
    publisher.drop();
  }
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe(share);
  for (let number = 0; number < 40; number++) await member.receive();
  await program.event("pool.relieved");
});

test("ten thousand subscriptions of a session come and go without holding up others", async (t) => {
  const { port } = await startBroker(t);
  const keeper = await MqttClient.connect(t, port, "keeper", { clean: false });
  for (let part = 0; part < 10; part++) {
    const subscriptions = Array.from({ length: 1_000 }, (_, n) => ({
      topic: `room/${part}/${n}/temperature`,
      qos: 1,
    }));
    keeper.send({ cmd: "subscribe", messageId: part + 1, subscriptions });
    await keeper.next("suback", 30_000);
  }
  await keeper.disconnect();
  const other = await MqttClient.connect(t, port, "other");
  const began = performance.now();
  const ending = MqttClient.connect(t, port, "keeper", { clean: true });
  await other.settle();
  const tookMs = performance.now() - began;
  await ending;
  t.ok(tookMs < 2_000, `others waited ${Math.round(tookMs)} ms; it was six seconds`);
});

test("a plain subscriber with several filters gets everything in the order in which it came", async (t) => {
  const { port } = await startBroker(t, { args: memory });
  const subscriber = await MqttClient.connect(t, port, "subscriber");
  for (const filter of ["a/#", "b/#", "c/#"]) await subscriber.subscribe(filter);
  const publisher = await MqttClient.connect(t, port, "publisher");
  publisher.socket.cork();
  const topics = ["a", "b", "b", "c", "a", "c", "b", "a"].map((name) => `${name}/1`);
  for (const [number, topic] of topics.entries()) publisher.sendPublish(topic, String(number));
  publisher.socket.uncork();
  for (const number of topics.keys()) t.equal(await subscriber.receive(), String(number));
});

test("what a plain subscriber rejects comes again, a few times, and then the next", async (t) => {
  const { port, program } = await startBroker(t, { args: memory });
  const client = await MqttClient.connect(t, port, "client");
  await client.subscribe("a");
  const publisher = await MqttClient.connect(t, port, "publisher");
  await publisher.publish("a", "poison");
  for (let attempt = 0; attempt < 5; attempt++) {
    const { messageId, payload } = await client.next("publish");
    t.equal(payload.toString(), "poison");
    client.sendPublish("members/client/reject", JSON.stringify({ packetId: messageId, reason: "no" }));
  }
  await program.line(({ event, messages }) => event === "session.dropped" && messages === 1);
  await publisher.publish("a", "next");
  t.equal(await client.receive(), "next");
});

test("more retained messages than a queue holds: the subscriber gets as many as it does, not none", async (t) => {
  const { port } = await startBroker(t, { args: [...memory, "--limits-max-queue-bytes", "1MiB"] });
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (let number = 0; number < 12; number++) {
    await publisher.publish(`last/${number}`, "x".repeat(150_000), { retain: true });
  }
  const subscriber = await MqttClient.connect(t, port, "subscriber");
  await subscriber.subscribe("last/#");
  const { length } = await subscriber.settle();
  t.ok(length >= 3 && length < 12, `${length} of 12`);
});

for (const ordering of ["none", "key"]) {
  test(`a declared pool that is emptied keeps nothing, not even what came back (ordering ${ordering})`, async (t) => {
    const { port, program } = await startBroker(t, {
      args: [...memory, ...pools({ ordering, retainWhenEmptyMs: 300 })],
    });
    const member = await MqttClient.connect(t, port, "member");
    await member.subscribe(share);
    const publisher = await MqttClient.connect(t, port, "publisher");
    for (let number = 0; number < 20; number++) await publisher.publish("x/1", `m${number}`);
    await member.settle();
    await member.disconnect();
    const dropped = await program.event("pool.dropped");
    t.equal(dropped.messages, 20);
    const late = await MqttClient.connect(t, port, "late");
    await late.subscribe(share);
    t.same(await late.settle(), []);
  });
}

for (const ordering of ["none", "key"]) {
  test(`a rejected message waits for a member that is busy instead of coming back at once (ordering ${ordering})`, async (t) => {
    const { port, program } = await startBroker(t, {
      // Advanced health would take the message back from one that is busy and says nothing.
      args: [...memory, ...pools({ ordering, maxDeliveries: 2, health: "basic" })],
    });
    const busy = await MqttClient.connect(t, port, "busy");
    busy.sendPublish("heartbeat/members/busy", JSON.stringify({ state: "up", creditLimit: 1 }));
    await busy.subscribe(share);
    busy.sendPublish("heartbeat/members/busy", JSON.stringify({ state: "up", creditLimit: 1 }));
    const publisher = await MqttClient.connect(t, port, "publisher");
    await publisher.publish("x/held", "held");
    const held = await busy.next("publish");
    const picky = await MqttClient.connect(t, port, "picky");
    await picky.subscribe(share);
    await publisher.publish("x/odd", "odd");
    const { messageId } = await picky.next("publish");
    picky.sendPublish("members/picky/reject", JSON.stringify({ packetId: messageId, reason: "odd" }));
    await picky.next("puback");
    for (const text of ["even 1", "even 2"]) {
      await publisher.publish(`x/${text}`, text);
      t.equal(await picky.receive(), text, "the rest goes on meanwhile");
    }
    busy.puback(held.messageId);
    t.equal(await busy.receive(), "odd");
    t.notOk(program.lines.some(({ event }) => event === "delivery.dead"));
  });
}
