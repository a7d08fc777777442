import { fileURLToPath } from "node:url";
import { test } from "tap";
import { startBareAedes } from "../../support/bare-aedes.ts";
import { temporaryDirectory } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { startCommand } from "../../support/program.ts";

const launcher = fileURLToPath(new URL("../../../broker/bin/equipoise-broker.mjs", import.meta.url));
/** Largest file that the broker may write, in units of the shell's `ulimit -f` (512 or 1,024 bytes). */
const maxFileUnits = 3_000;

test("[MQTT-4.8.0-2] a PUBLISH that cannot be stored is not acknowledged: its connection closes, and what was acknowledged is there", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const program = startCommand(t, "sh", [
    // tap's own code in the child would make a signal of what must be an error.
    ...["-c", `unset NODE_OPTIONS; ulimit -f ${maxFileUnits}; exec "$0" "$@"`],
    ...[process.execPath, launcher, "--listen", "mqtt://127.0.0.1:0", "--data-dir", dataDir],
  ]);
  const [url = ""] = (await program.event("ready")).listen as string[];
  const port = Number(new URL(url).port);
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe("$share/p/full/#", 1);
  await member.disconnect();
  const publisher = await MqttClient.connect(t, port, "publisher");
  let acknowledged = 0;
  for (let number = 0; number < 2_000 && !publisher.isClosed; number++) {
    publisher.sendPublish("full/a", `${number} ${"x".repeat(10_000)}`);
    await publisher.next("puback").then(
      () => acknowledged++,
      () => {},
    );
  }
  await publisher.closed;
  await program.line(({ event, reason }) => event === "connection.closed" && reason === "storeFailed");
  t.ok(acknowledged > 10, `${acknowledged} acknowledged before the disk was full`);
  const again = await MqttClient.connect(t, port, "member");
  await again.subscribe("$share/p/full/#", 1);
  for (let number = 0; number < acknowledged; number++) {
    const text = await again.receive();
    if (!text.startsWith(`${number} `)) t.fail(`${text.slice(0, 10)} in place of ${number}`);
  }
  t.equal(program.child.exitCode, null, "the broker lives");
});

test("bare aedes acknowledges what its store has refused", async (t) => {
  const { port } = await startBareAedes(t, ["failing-store"]);
  const publisher = await MqttClient.connect(t, port, "publisher");
  await publisher.publish("full/a", "m");
  t.pass("a PUBACK for nothing");
});
