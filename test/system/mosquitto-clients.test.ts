import { test } from "tap";
import { declared, startBroker } from "../support/broker.ts";
import { skipUnless } from "../support/debian.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import { startCommand } from "../support/program.ts";
import { until } from "../support/time.ts";

const skip = skipUnless("mosquitto_sub", "mosquitto-clients");

test("mosquitto_sub joins a pool over MQTT 3.1.1 and receives its share", { skip }, async (t) => {
  // By performance the share of a client depends on how the machine treats its process.
  const { port, program } = await startBroker(t, { args: declared({ strategy: "least_connections" }) });
  const args = ["-p", String(port), "-t", "$share/p/ticks/#", "-q", "1", "-V", "311"];
  const members = ["one", "two"].map((id) => startCommand(t, "mosquitto_sub", [...args, "-i", id]));
  for (const id of ["one", "two"]) {
    await program.line(({ event, clientId }) => event === "pool.joined" && clientId === id);
  }
  const publisher = await MqttClient.connect(t, port, "publisher");
  const sent = Array.from({ length: 100 }, (_, number) => `m${number}`);
  const texts = (): string[] => members.flatMap(({ lines }) => lines.map(({ text }) => String(text)));
  // One after the other, so that nobody's share depends on who is given time by the machine.
  for (const [before, text] of sent.entries()) {
    await publisher.publish("ticks/binance/BTCUSDT/pi-7", text);
    await until(() => texts().length > before);
  }
  t.same(texts().sort(), sent.toSorted(), "every message once over both");
  for (const { lines } of members) t.ok(lines.length >= 20, `a share of ${lines.length} of 100`);
});

test("mosquitto_pub's messages at QoS 0, 1 and 2 reach a member", { skip }, async (t) => {
  const { port } = await startBroker(t);
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe("$share/p/ticks/#", 1);
  for (const qos of ["0", "1", "2"]) {
    const done = startCommand(t, "mosquitto_pub", [
      "-p",
      String(port),
      "-t",
      "ticks/a",
      "-m",
      `qos ${qos}`,
      "-q",
      qos,
    ]);
    t.equal((await done.exited).code, 0);
    t.equal(await member.receive(), `qos ${qos}`);
  }
});
