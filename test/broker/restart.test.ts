import { test } from "tap";
import { startBroker, temporaryDirectory } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";

for (const [how, signal] of [
  ["a clean restart", "SIGTERM"],
  ["kill -9", "SIGKILL"],
] as const) {
  test(`retained messages, sessions and their queues survive ${how}`, async (t) => {
    const dataDir = await temporaryDirectory(t);
    const first = await startBroker(t, { dataDir });
    const keeper = await MqttClient.connect(t, first.port, "keeper", { clean: false });
    await keeper.subscribe("a/#", 1);
    await keeper.subscribe("b", 1);
    await keeper.subscribe("$share/p/ticks/#", 1);
    await keeper.unsubscribe("b");
    const publisher = await MqttClient.connect(t, first.port, "publisher");
    await publisher.publish("last/a", "retained", { retain: true });
    await publisher.publish("last/b", "gone", { retain: true });
    await publisher.publish("last/b", "", { retain: true });
    await publisher.publish("a/1", "held");
    await keeper.next("publish");
    keeper.drop();
    for (let number = 0; number < 5; number++) await publisher.publish("a/2", `while away ${number}`);
    await publisher.publish("b", "not subscribed any more");
    await first.program.stop(signal);

    const second = await startBroker(t, { dataDir });
    const later = await MqttClient.connect(t, second.port, "publisher");
    await later.publish("a/3", "after the restart");
    await later.publish("ticks/1", "for the member");
    const back = await MqttClient.connect(t, second.port, "keeper", { clean: false });
    t.equal(back.sessionPresent, true);
    const texts = [];
    for (let number = 0; number < 8; number++) texts.push(await back.receive());
    const plain = texts.filter((text) => text !== "for the member");
    t.same(plain, ["held", ...[0, 1, 2, 3, 4].map((number) => `while away ${number}`), "after the restart"]);
    t.ok(texts.includes("for the member"), "it is a member of its pool again");
    const watcher = await MqttClient.connect(t, second.port, "watcher");
    await watcher.subscribe("last/#");
    const retained = await watcher.settle();
    t.same(
      retained.map(({ topic, payload }) => [topic, payload.toString()]),
      [["last/a", "retained"]],
    );
  });
}

test("a session that was ended by a clean one does not come back", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const first = await startBroker(t, { dataDir });
  const keeper = await MqttClient.connect(t, first.port, "keeper", { clean: false });
  await keeper.subscribe("a/#", 1);
  await keeper.disconnect();
  await (await MqttClient.connect(t, first.port, "keeper", { clean: true })).disconnect();
  await first.program.stop();
  const second = await startBroker(t, { dataDir });
  t.equal((await MqttClient.connect(t, second.port, "keeper", { clean: false })).sessionPresent, false);
});

test("the broker's own heartbeat is not kept: after a restart there is only the new one", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const first = await startBroker(t, { dataDir, args: ["--broker-id", "old"] });
  await first.program.stop("SIGKILL");
  const second = await startBroker(t, { dataDir, args: ["--broker-id", "new"] });
  const watcher = await MqttClient.connect(t, second.port, "watcher");
  await watcher.subscribe("heartbeat/brokers/+", 0);
  const topics = (await watcher.settle()).map(({ topic }) => topic);
  t.ok(topics.length > 0 && topics.every((topic) => topic === "heartbeat/brokers/new"), topics.join());
});
