import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import t, { test } from "tap";
import { startBroker, temporaryDirectory } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { pause } from "../../support/time.ts";
import { connectPacket, field, packet } from "./raw.ts";

const configFile = join(await temporaryDirectory(t), "broker.yaml");
await writeFile(
  configFile,
  [
    "durability: memory",
    "pools:",
    "  - { name: small, filters: [small/#], maxBacklogBytes: 4096 }",
    "limits:",
    "  maxOutputBytes: 65536",
    "  maxPacketBytes: 65536",
    "  maxInboundInFlight: 50",
    "  maxHeldBytes: 1048576",
    "  connectTimeoutMs: 600",
    "",
  ].join("\n"),
);
const { port, program } = await startBroker(t, { args: ["--config", configFile] });

const closedFor = (wanted: string): Promise<unknown> =>
  program.line(({ event, reason }) => event === "connection.closed" && reason === wanted);

test("a connection without a whole CONNECT is closed after connectTimeoutMs, also when it drips bytes", async (t) => {
  const began = performance.now();
  const silent = await MqttClient.open(t, port);
  const dripping = await MqttClient.open(t, port);
  // It would be whole after ten seconds.
  const bytes = connectPacket({ id: "dripping-slowly".padEnd(100, "-") });
  let at = 0;
  const drip = setInterval(() => dripping.socket.write(bytes.subarray(at, ++at)), 100);
  t.teardown(() => clearInterval(drip));
  await Promise.all([silent.closed, dripping.closed]);
  const tookMs = performance.now() - began;
  t.ok(tookMs >= 590, `closed after ${Math.round(tookMs)} ms`);
  await closedFor("connectTimeout");
});

test("[MQTT-3.1.2-24] a client is closed 1.5 times its keepalive after its last whole packet, not before, not for half a packet", async (t) => {
  // Before CONNECT is sent: its answer may be read late.
  const began = performance.now();
  const half = await MqttClient.connect(t, port, "half", { keepalive: 1 });
  half.socket.write(packet(0x30, field("half"), Buffer.alloc(100)).subarray(0, 50));
  const drip = setInterval(() => half.socket.write("x"), 200);
  t.teardown(() => clearInterval(drip));
  const none = await MqttClient.connect(t, port, "none", { keepalive: 0 });
  // Long enough that it keeps to it also when this process gets no time for a while.
  const pinging = await MqttClient.connect(t, port, "pinging", { keepalive: 2 });
  const limitMs = performance.now() + 3_000;
  const ping = setInterval(() => pinging.send({ cmd: "pingreq" }), 300);
  t.teardown(() => clearInterval(ping));
  await half.closed;
  const tookMs = performance.now() - began;
  t.ok(tookMs >= 1_490, `closed after ${Math.round(tookMs)} ms`);
  await closedFor("keepaliveTimeout");
  await pause(limitMs + 500 - performance.now());
  t.same([none.isClosed, pinging.isClosed], [false, false]);
});

test("a publisher that a full pool holds back is not read past maxInboundInFlight, is not dead, and goes on when there is room", async (t) => {
  const publisher = await MqttClient.connect(t, port, "held", { keepalive: 2 });
  const message = (messageId: number): Buffer =>
    packet(0x32, field("small/a"), [messageId >> 8, messageId & 0xff], Buffer.alloc(1_000));
  let sent = 0;
  // What the broker does not read fills the system's buffers, then ours.
  while (publisher.socket.writableLength < 1_000_000) {
    for (let count = 0; count < 100; count++) publisher.socket.write(message((sent++ % 60_000) + 1));
    await new Promise((done) => setImmediate(done));
  }
  t.pass(`${sent} sent before the broker stopped reading`);
  await pause(3_300);
  t.equal(publisher.isClosed, false, "its keepalive of 3 s is suspended");
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe("$share/small/small/#", 1);
  const reading = (async () => {
    for (let count = 0; count < sent; count++) await member.receive();
  })();
  for (let count = 0; count < sent; count++) await publisher.next("puback");
  await reading;
  t.same(publisher.inbox, [], "each acknowledged once");
  await member.disconnect();
});

test("a client that feeds a full pool and is its only member is read on: its PUBACKs free the pool", async (t) => {
  const client = await MqttClient.connect(t, port, "both");
  await client.subscribe("$share/small/small/#", 1);
  for (let number = 1; number <= 500; number++)
    client.sendPublish("small/b", "x".repeat(500), { messageId: number });
  for (let number = 1; number <= 500; number++) await client.receive();
  for (let number = 1; number <= 500; number++) t.equal((await client.next("puback")).messageId, number);
  await client.disconnect();
});

test("PUBLISHes that nobody can acknowledge are bounded also for a client that holds deliveries", async (t) => {
  const client = await MqttClient.connect(t, port, "hoarder");
  await client.subscribe("$share/small/small/#", 1);
  const message = packet(0x32, field("small/c"), [0, 1], Buffer.alloc(1_000));
  const block = Buffer.concat(Array.from({ length: 60 }, () => message));
  while (!client.isClosed) {
    client.socket.write(block);
    await new Promise((done) => setImmediate(done));
    if (client.socket.writableLength > 4_000_000) await new Promise((done) => setTimeout(done, 5));
  }
  await closedFor("tooManyInFlight");
  const member = await MqttClient.connect(t, port, "cleaner");
  await member.subscribe("$share/small/small/#", 1);
  const probe = await MqttClient.connect(t, port, "probe");
  const id = probe.sendPublish("small/c", "last");
  while ((await member.receive()) !== "last");
  t.equal((await probe.next("puback")).messageId, id, "the pool works on");
});

test("a client that asks and never reads the answers is closed at a bound; others notice nothing", async (t) => {
  const other = await MqttClient.connect(t, port, "other");
  const flood = async (name: string, bytes: Buffer): Promise<void> => {
    const client = await MqttClient.connect(t, port, name);
    client.socket.pause();
    // A socket that is not read does not see its end: the broker's word counts.
    const end = program.line(({ event, clientId }) => event === "connection.closed" && clientId === name);
    let over = false;
    end.then(() => {
      over = true;
    });
    while (!over) {
      client.socket.write(bytes);
      await new Promise((done) => setImmediate(done));
      if (client.socket.writableLength > 4_000_000) await new Promise((done) => setTimeout(done, 5));
    }
    t.equal((await end).reason, "slowConsumer", name);
    client.drop();
  };
  const publish = packet(0x34, field("nobody"), [0, 1]);
  await flood("pubrec", Buffer.concat(Array.from({ length: 1_000 }, () => publish)));
  await flood("pubcomp", Buffer.concat(Array.from({ length: 1_000 }, () => packet(0x62, [0, 1]))));
  t.same(await other.settle(), []);
});

test("retained messages for a client that does not read wait in its bounded queue", async (t) => {
  const publisher = await MqttClient.connect(t, port, "retainer");
  for (let number = 0; number < 20; number++)
    await publisher.publish(`kept/${number}`, "x".repeat(50_000), { retain: true });
  const client = await MqttClient.connect(t, port, "kept");
  client.socket.pause();
  for (let round = 1; round <= 50; round++)
    client.send({ cmd: "subscribe", messageId: round, subscriptions: [{ topic: "kept/#", qos: 0 }] });
  await program.line(({ event, clientId }) => event === "session.dropped" && clientId === "kept");
  t.same(await publisher.settle(), []);
  client.drop();
  for (let number = 0; number < 20; number++) await publisher.publish(`kept/${number}`, "", { retain: true });
});

test("PINGREQ is answered while others load the broker", async (t) => {
  const publisher = await MqttClient.connect(t, port, "load");
  const client = await MqttClient.connect(t, port, "calm");
  let over = false;
  let bursts = 0;
  const load = (async () => {
    for (; !over; bursts++) {
      for (let number = 0; number < 200; number++) publisher.sendPublish("load", "x".repeat(100), { qos: 0 });
      await publisher.settle();
    }
  })();
  // In bursts, not in milliseconds: a busy machine slows both.
  let slowest = 0;
  for (let round = 0; round < 20 || bursts < 10; round++) {
    const before = bursts;
    client.send({ cmd: "pingreq" });
    await client.next("pingresp");
    slowest = Math.max(slowest, bursts - before);
  }
  over = true;
  await load;
  t.ok(slowest <= 5, `answered within ${slowest} of ${bursts} bursts`);
});
