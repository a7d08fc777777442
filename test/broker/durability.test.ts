import { readdirSync } from "node:fs";
import { test } from "tap";
import { startBroker, temporaryDirectory } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";

const share = "$share/p/ticks/#";

test("after kill -9 every acknowledged message is delivered, and nothing that was settled long before", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const first = await startBroker(t, { dataDir });
  const member = await MqttClient.connect(t, first.port, "member");
  await member.subscribe(share);
  const publisher = await MqttClient.connect(t, first.port, "publisher");
  await publisher.publish("ticks/v/s/x", "settled");
  t.equal(await member.receive(), "settled");
  // The settlement is written with the next commit; a later acknowledged message proves that one has happened.
  await member.settle();
  await publisher.publish("ticks/v/s/x", "held");
  await member.next("publish");
  await publisher.publish("ticks/v/s/y", "waiting");
  await first.program.stop("SIGKILL");
  const second = await startBroker(t, { dataDir });
  const again = await MqttClient.connect(t, second.port, "member");
  await again.subscribe(share);
  t.same([await again.receive(), await again.receive()], ["held", "waiting"]);
  t.same(await again.settle(), []);
});

test("kill -9 under load, twice: 0 acknowledged messages lost", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const acknowledged = new Set<string>();
  const received = new Map<string, number>();
  let number = 0;
  for (let round = 0; round < 3; round++) {
    const broker = await startBroker(t, { dataDir });
    const member = await MqttClient.connect(t, broker.port, "member");
    await member.subscribe(share);
    const taking = takeAll(member, received);
    if (round === 2) {
      while ([...acknowledged].some((text) => !received.has(text)))
        await new Promise((done) => setTimeout(done, 10));
      await broker.program.stop();
      await taking;
      break;
    }
    const publisher = await MqttClient.connect(t, broker.port, "publisher");
    const target = acknowledged.size + 400 + round * 137;
    const pending = new Map<number, string>();
    while (acknowledged.size < target) {
      while (pending.size < 50)
        pending.set(publisher.sendPublish("ticks/v/s/x", `m${number}`), `m${number++}`);
      const { messageId } = await publisher.next("puback");
      acknowledged.add(pending.get(messageId) as string);
      pending.delete(messageId);
    }
    await broker.program.stop("SIGKILL");
    await taking;
  }
  const lost = [...acknowledged].filter((text) => !received.has(text));
  const repeats = [...received.values()].reduce((sum, count) => sum + count - 1, 0);
  t.same(lost, [], `${acknowledged.size} acknowledged, ${repeats} repeats`);
});

async function takeAll(member: MqttClient, into: Map<string, number>): Promise<void> {
  while (!member.isClosed) {
    const text = await member.receive().catch(() => undefined);
    if (text !== undefined) into.set(text, (into.get(text) ?? 0) + 1);
  }
}

test("an undeclared pool's backlog survives a clean restart", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const first = await startBroker(t, { dataDir });
  const member = await MqttClient.connect(t, first.port, "member");
  await member.subscribe(share);
  await member.disconnect();
  const publisher = await MqttClient.connect(t, first.port, "publisher");
  for (let number = 0; number < 20; number++) await publisher.publish("ticks/v/s/x", `m${number}`);
  t.equal(await first.program.stop(), 0);
  const second = await startBroker(t, { dataDir });
  const again = await MqttClient.connect(t, second.port, "member");
  await again.subscribe(share);
  for (let number = 0; number < 20; number++) t.equal(await again.receive(), `m${number}`);
});

test("with --durability memory nothing is written and the same promises hold while it runs", async (t) => {
  const { port, dataDir } = await startBroker(t, { args: ["--durability", "memory"] });
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe(share);
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (let number = 0; number < 20; number++) await publisher.publish("ticks/v/s/x", `m${number}`);
  for (let number = 0; number < 20; number++) t.equal(await member.receive(), `m${number}`);
  t.same(readdirSync(dataDir), []);
});
