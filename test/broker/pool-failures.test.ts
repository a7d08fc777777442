import { test } from "tap";
import { declared, startBroker, temporaryDirectory } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";

const share = "$share/p/ticks/#";

function pool(options: object): { args: string[] } {
  return { args: declared(options) };
}

const reject = (client: MqttClient, id: string, packetId: number): number =>
  client.sendPublish(`members/${id}/reject`, JSON.stringify({ packetId, reason: "cannot read it" }));

test("a message that a member holds past ackTimeoutMs goes to another, and its credit stays used", async (t) => {
  // Time for the other one to come, too: otherwise it would go to the same one once more.
  const { port, program } = await startBroker(t, pool({ ackTimeoutMs: 2_000 }));
  const silent = await MqttClient.connect(t, port, "silent");
  await silent.subscribe(share);
  const publisher = await MqttClient.connect(t, port, "publisher");
  await publisher.publish("ticks/v/s/x", "held");
  const held = await silent.next("publish");
  const other = await MqttClient.connect(t, port, "other");
  await other.subscribe(share);
  t.equal(await other.receive(), "held");
  const failed = await program.event("delivery.failed");
  t.match(failed, { clientId: "silent", attempts: 1, reason: /2000 ms/ });
  const watcher = await MqttClient.connect(t, port, "watcher");
  await watcher.subscribe("heartbeat/brokers/+", 0);
  const inFlight = async (): Promise<number> => {
    const report = JSON.parse((await watcher.next("publish")).payload.toString());
    return report.pools[0].memberReports.find(({ clientId }: { clientId: string }) => clientId === "silent")
      .inFlight;
  };
  await watcher.next("publish");
  t.equal(await inFlight(), 1, "quarantined");
  silent.puback(held.messageId);
  while ((await inFlight()) !== 0);
  t.pass("the late answer frees the credit");
});

test("the identifier of a message taken back is not used again before the late answer", async (t) => {
  const { port, program } = await startBroker(t, pool({ ackTimeoutMs: 200, maxDeliveries: 100 }));
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe(share);
  const publisher = await MqttClient.connect(t, port, "publisher");
  await publisher.publish("ticks/v/s/x", "m");
  const ids = [(await member.next("publish")).messageId];
  for (let count = 0; count < 3; count++) ids.push((await member.next("publish")).messageId);
  t.equal(new Set(ids).size, 4, "each attempt has an identifier of its own");
  member.puback(ids.at(-1));
  await program.event("delivery.failed");
});

test("after maxDeliveries failed attempts a message is a dead letter, told on its topic, and the pool goes on", async (t) => {
  const { port, program } = await startBroker(t, pool({ maxDeliveries: 3 }));
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe(share);
  const mortician = await MqttClient.connect(t, port, "mortician");
  await mortician.subscribe("dead/#");
  const publisher = await MqttClient.connect(t, port, "publisher");
  await publisher.publish("ticks/v/s/x", "poison");
  await publisher.publish("ticks/v/s/x", "wholesome");
  for (let attempt = 0; attempt < 3; attempt++) {
    let packet = await member.next("publish");
    while (packet.payload.toString() !== "poison") {
      member.puback(packet.messageId);
      packet = await member.next("publish");
    }
    reject(member, "member", packet.messageId);
  }
  const letter = await mortician.next("publish");
  t.equal(letter.topic, "dead/p/ticks/v/s/x");
  const told = JSON.parse(letter.payload.toString());
  t.match(told, {
    pool: "p",
    topic: "ticks/v/s/x",
    attempts: 3,
    reason: "cannot read it",
    payload: "poison",
  });
  t.ok(told.firstTimeMs <= told.lastTimeMs && told.firstTimeMs > 1.7e12);
  await program.event("delivery.dead");
  await publisher.publish("ticks/v/s/x", "after");
  let text = await member.receive();
  while (text !== "after") text = await member.receive();
  t.pass("the pool goes on");
});

test("a crash of the member counts as an attempt, a clean disconnect and a draining broker do not", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const { args } = pool({ maxDeliveries: 2 });
  // It holds a message when the broker stops.
  const options = { args: [...args, "--shutdown-timeout-ms", "1500"], dataDir };
  const first = await startBroker(t, options);
  const publisher = await MqttClient.connect(t, first.port, "publisher");
  await publisher.publish("ticks/v/s/x", "m");
  const hold = async (port: number): Promise<MqttClient> => {
    const member = await MqttClient.connect(t, port, "member");
    await member.subscribe(share);
    t.equal((await member.next("publish")).payload.toString(), "m");
    return member;
  };
  for (let count = 0; count < 3; count++) await (await hold(first.port)).disconnect();
  await hold(first.port);
  t.equal(await first.program.stop(), 0);
  const second = await startBroker(t, options);
  (await hold(second.port)).drop();
  const failed = await second.program.event("delivery.failed");
  t.match(failed, { attempts: 1, reason: /broke/ });
  (await hold(second.port)).drop();
  t.match(await second.program.event("delivery.dead"), { attempts: 2 });
});

test("a full pool with whenFull reject closes its publishers and takes nothing; others go through", async (t) => {
  const { port, program } = await startBroker(t, pool({ maxBacklogBytes: "2kB", whenFull: "reject" }));
  const publisher = await MqttClient.connect(t, port, "publisher");
  let acknowledged = 0;
  while (!publisher.isClosed) {
    const done = await publisher.publish("ticks/v/s/x", "x".repeat(200)).then(
      () => true,
      () => false,
    );
    if (done) acknowledged++;
  }
  const closed = await program.line(
    ({ event, reason }) => event === "connection.closed" && reason === "poolFull",
  );
  t.equal(closed.clientId, "publisher");
  t.ok(acknowledged >= 5 && acknowledged < 15, `${acknowledged} taken`);
  const other = await MqttClient.connect(t, port, "other");
  await other.publish("elsewhere", "goes through");
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe(share);
  for (let number = 0; number < acknowledged; number++) await member.receive();
  t.same(await member.settle(), [], "exactly what was acknowledged");
});

test("a declared pool without members drops its backlog after retainWhenEmptyMs", async (t) => {
  const { port, program } = await startBroker(t, pool({ retainWhenEmptyMs: 300 }));
  const publisher = await MqttClient.connect(t, port, "publisher");
  await publisher.publish("ticks/v/s/x", "old");
  const dropped = await program.event("pool.dropped");
  t.equal(dropped.messages, 1);
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe(share);
  await publisher.publish("ticks/v/s/x", "new");
  t.equal(await member.receive(), "new");
});

test("a QoS 2 message in flight stays with its persistent session and moves to nobody else", async (t) => {
  const { port } = await startBroker(t, pool({}));
  const first = await MqttClient.connect(t, port, "first", { clean: false });
  await first.subscribe(share, 2);
  const publisher = await MqttClient.connect(t, port, "publisher");
  publisher.sendPublish("ticks/v/s/x", "m", { qos: 2, messageId: 1 });
  const sent = await first.next("publish");
  t.equal(sent.qos, 2);
  const second = await MqttClient.connect(t, port, "second");
  await second.subscribe(share, 2);
  first.drop();
  t.same(await second.settle(), []);
  const back = await MqttClient.connect(t, port, "first", { clean: false });
  t.match(await back.next("publish"), { dup: true, qos: 2, messageId: sent.messageId });
});
