/**
 * Withheld PUBACKs: unmodified clients must neither give up nor lose anything. A quarter of a minute in `npm test`, more
 * than two keepalives of theirs; `npm run soak` asks for ten minutes.
 */
import { spawn, spawnSync } from "node:child_process";
import mqtt from "mqtt";
import { test } from "tap";
import { declared, startBroker } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";

const minutes = Number(process.env.SOAK_MINUTES ?? 0.25);
const keepaliveSeconds = 5;
const pool = declared({ maxBacklogBytes: "64kB" });
const each = 200;

const paho = `
import sys, paho.mqtt.client as mqtt
port, count, keepalive = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
args = [mqtt.CallbackAPIVersion.VERSION1] if hasattr(mqtt, "CallbackAPIVersion") else []
client = mqtt.Client(*args, client_id="paho")
client.connect("127.0.0.1", port, keepalive)
client.loop_start()
sent = [client.publish("ticks/paho", ("paho %d" % n).ljust(1000), qos=1) for n in range(count)]
for info in sent: info.wait_for_publish()
client.disconnect()
client.loop_stop()
`;
const hasPaho = spawnSync("/usr/bin/python3", ["-c", "import paho.mqtt.client"]).status === 0;
const hasMosquitto = spawnSync("sh", ["-c", "command -v mosquitto_pub"]).status === 0;

test(`clients under ${minutes} minutes of backpressure stay connected, and everything arrives`, async (t) => {
  const { port, program } = await startBroker(t, { args: pool });
  const filler = await MqttClient.connect(t, port, "filler");
  for (let number = 0; !program.lines.some(({ event }) => event === "pool.pressed"); number++) {
    filler.sendPublish("ticks/filler", `filler ${number}`.padEnd(1_000));
    await filler.settle();
  }
  const done: Promise<unknown>[] = [];
  const names = ["mqttjs"];
  const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${port}`, {
    clientId: "mqttjs",
    keepalive: keepaliveSeconds,
    reconnectPeriod: 0,
  });
  t.teardown(() => client.endAsync(true));
  done.push(
    Promise.all(
      Array.from({ length: each }, (_, n) =>
        client.publishAsync("ticks/mqttjs", `mqttjs ${n}`.padEnd(1_000), { qos: 1 }),
      ),
    ),
  );
  const run = (name: string, command: string, args: string[], input = ""): void => {
    names.push(name);
    const child = spawn(command, args, { stdio: ["pipe", "inherit", "inherit"] });
    t.teardown(() => child.kill("SIGKILL"));
    child.stdin.end(input);
    done.push(
      new Promise<void>((resolve, reject) => {
        child.on("close", (code) =>
          code === 0 ? resolve() : reject(new Error(`${name} ended with ${code}`)),
        );
      }),
    );
  };
  if (hasPaho)
    run("paho", "/usr/bin/python3", ["-c", paho, String(port), String(each), String(keepaliveSeconds)]);
  else t.comment("SKIPPED: paho is missing; apt-get install python3-paho-mqtt");
  const lines = Array.from({ length: each }, (_, n) => `mosquitto ${n}`.padEnd(1_000)).join("\n");
  const publish = [
    "-p",
    String(port),
    "-i",
    "mosquitto",
    "-t",
    "ticks/mosquitto",
    "-q",
    "1",
    "-k",
    String(keepaliveSeconds),
    "-l",
  ];
  if (hasMosquitto) run("mosquitto", "mosquitto_pub", publish, `${lines}\n`);
  else t.comment("SKIPPED: mosquitto_pub is missing; apt-get install mosquitto-clients");
  await new Promise((resolve) => setTimeout(resolve, minutes * 60_000));
  const closed = program.lines
    .filter(({ event }) => event === "connection.closed")
    .map(({ clientId }) => clientId);
  t.same(closed, [], "nobody was closed and nobody left");
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe("$share/p/ticks/#");
  const seen = new Set<string>();
  const wanted = names.flatMap((name) => Array.from({ length: each }, (_, n) => `${name} ${n}`));
  while (wanted.some((text) => !seen.has(text))) seen.add((await member.receive(20_000)).trim());
  await Promise.all(done);
  t.pass(`all ${wanted.length} messages of ${names.join(", ")} arrived and were acknowledged`);
});
