/** Clients as they come from Debian: nothing of ours is in them. */
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import t, { test } from "tap";
import { startBroker } from "../../support/broker.ts";
import { pythonWith, skipUnless } from "../../support/debian.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { type Program, startCommand } from "../../support/program.ts";
import type { Teardown } from "../../support/teardown.ts";

const { port } = await startBroker(t, { args: ["--durability", "memory"] });
const address = ["-h", "127.0.0.1", "-p", String(port)];
const mosquitto = { skip: skipUnless("mosquitto_pub", "mosquitto-clients") };

const python = pythonWith("paho.mqtt.client", "python3-paho-mqtt");

async function pub(t: Teardown, ...args: string[]): Promise<number | null> {
  return (await startCommand(t, "mosquitto_pub", [...address, ...args]).exited).code;
}

/** A mosquitto_sub that has subscribed: it has said so in its debug output. */
async function sub(t: Teardown, ...args: string[]): Promise<Program> {
  // Into a pipe it would write only when its buffer is full.
  const program = startCommand(t, "stdbuf", [
    "-oL",
    "mosquitto_sub",
    ...address,
    "-d",
    "-F",
    "%q %r %t %p",
    ...args,
  ]);
  await program.line(({ text }) => /received SUBACK/.test(String(text)));
  return program;
}

const messagesOf = ({ lines }: Program): string[] =>
  lines.map(({ text }) => String(text)).filter((text) => /^[012] [01] /.test(text));

for (const version of ["mqttv31", "mqttv311"]) {
  test(`mosquitto_pub and mosquitto_sub, ${version}: every QoS, retained`, mosquitto, async (t) => {
    const reader = await sub(
      t,
      "-V",
      version,
      "-q",
      "2",
      "-t",
      `${version}/#`,
      "-C",
      "3",
      "-i",
      `${version}-reader`,
    );
    for (const qos of ["0", "1", "2"])
      t.equal(await pub(t, "-V", version, "-q", qos, "-t", `${version}/${qos}`, "-m", `m${qos}`), 0);
    t.equal((await reader.exited).code, 0);
    t.same(messagesOf(reader).sort(), [`0 0 ${version}/0 m0`, `1 0 ${version}/1 m1`, `2 0 ${version}/2 m2`]);
    t.equal(await pub(t, "-V", version, "-q", "2", "-r", "-t", `${version}-kept`, "-m", "kept"), 0);
    const late = startCommand(t, "mosquitto_sub", [
      ...[...address, "-V", version, "-F", "%q %r %t %p"],
      ...["-q", "2", "-t", `${version}-kept`, "-C", "1"],
    ]);
    t.equal((await late.exited).code, 0);
    t.same(messagesOf(late), [`2 1 ${version}-kept kept`]);
  });
}

test("mosquitto_sub with a persistent session gets what came while it was away", mosquitto, async (t) => {
  const session = ["-c", "-i", "mosquitto-keeper", "-q", "2", "-t", "away"];
  const first = await sub(t, ...session, "-C", "1");
  t.equal(await pub(t, "-q", "2", "-t", "away", "-m", "ends it"), 0);
  await first.exited;
  for (const qos of ["1", "2"]) t.equal(await pub(t, "-q", qos, "-t", "away", "-m", `m${qos}`), 0);
  const second = await sub(t, ...session, "-C", "2");
  t.equal((await second.exited).code, 0);
  t.same(messagesOf(second), ["1 0 away m1", "2 0 away m2"]);
});

test("mosquitto_sub's will goes out when it is killed, and not when it ends", mosquitto, async (t) => {
  const watcher = await MqttClient.connect(t, port, "will-watcher");
  await watcher.subscribe("wills/#", 2);
  const will = (name: string): string[] => [
    "--will-topic",
    `wills/${name}`,
    "--will-payload",
    name,
    "--will-qos",
    "2",
  ];
  const ending = await sub(t, "-t", "x", "-C", "1", ...will("ended"));
  t.equal(await pub(t, "-t", "x", "-m", "ends it"), 0);
  await ending.exited;
  const killed = await sub(t, "-t", "x", ...will("killed"));
  killed.child.kill("SIGKILL");
  t.match(await watcher.next("publish"), { topic: "wills/killed", qos: 2 });
  t.same(await watcher.settle(), []);
});

test("paho talks every QoS, retained, will and persistent session", { skip: python.skip }, async (t) => {
  const script = fileURLToPath(new URL("paho-client.py", import.meta.url));
  const program = startCommand(t, python.program, [script, String(port)]);
  await once(program.child, "close");
  t.equal(program.child.exitCode, 0, program.stderr);
  t.match(program.lines.at(-1), { text: "all claims hold" });
});
