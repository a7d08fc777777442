import { test } from "tap";
import { declared, startBroker } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";

const share = "$share/p/ticks/#";
const args = ["--broker-id", "a", ...declared()];

async function stateOf(client: MqttClient): Promise<string> {
  return JSON.parse(await client.receive()).state;
}

test("a broker that stops says so, takes no more connections, and lets members finish what they hold", async (t) => {
  const broker = await startBroker(t, { args: [...args, "--shutdown-timeout-ms", "60000"] });
  const { port, program } = broker;
  const watcher = await MqttClient.connect(t, port, "watcher");
  await watcher.subscribe("heartbeat/brokers/a", 0);
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe(share);
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (let n = 0; n < 200; n++) publisher.sendPublish("ticks/v/s/x", `m${n}`);
  for (let n = 0; n < 200; n++) await publisher.next("puback");
  const first = await member.next("publish");
  const beganMs = performance.now();
  program.child.kill("SIGTERM");
  while ((await stateOf(watcher)) !== "draining");
  await t.rejects(MqttClient.connect(t, port, "late"), "it does not listen any more");
  const late = await MqttClient.connect(t, port, "late").catch((error: Error) => error.message);
  t.match(late, /ECONNREFUSED/);
  await publisher.publish("ticks/v/s/x", "while it drains");
  const held = [first, ...(await member.settle())].map(({ messageId }) => messageId as number);
  member.inbox.length = 0;
  for (const messageId of held) member.puback(messageId);
  await member.closed;
  t.same(member.inbox, [], "and gets nothing new");
  t.equal((await program.exited).code, 0);
  t.ok(performance.now() - beganMs < 40_000, "well before the time is up");
  const again = await startBroker(t, { args, dataDir: broker.dataDir });
  const next = await MqttClient.connect(t, again.port, "member");
  await next.subscribe(share);
  const rest = new Set<string>();
  while (rest.size < 201 - held.length) rest.add(await next.receive());
  t.ok(rest.has("while it drains"), "what it acknowledged while it drained was kept");
  t.same(await next.settle(), [], `none of the ${held.length} that were finished came again`);
});

test("a member that does not finish holds a stop up for no longer than shutdownTimeoutMs", async (t) => {
  const { port, program } = await startBroker(t, { args: [...args, "--shutdown-timeout-ms", "1500"] });
  const mute = await MqttClient.connect(t, port, "mute");
  await mute.subscribe(share);
  const publisher = await MqttClient.connect(t, port, "publisher");
  await publisher.publish("ticks/v/s/x", "m");
  await mute.next("publish");
  t.equal(await program.stop(), 0);
});
