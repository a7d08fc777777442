import { statSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "tap";
import { declared, startBroker, temporaryDirectory } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import { operate } from "../support/operate.ts";
import { startProgram } from "../support/program.ts";

const pool = declared({ maxDeliveries: 1 });

test("pools shows members and backlog, as a table and as JSON", async (t) => {
  const { port, dataDir } = await startBroker(t, { args: [...pool, "--broker-id", "gateway"] });
  const member = await MqttClient.connect(t, port, "member-1");
  await member.subscribe("$share/p/ticks/#");
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (let number = 0; number < 20; number++) await publisher.publish("ticks/a", `m${number}`);
  const table = operate(dataDir, "pools");
  t.match(
    table.stdout,
    /p {2}declared, performance_based, advanced health, ticks\/#\n {2}backlog 4 .* in flight 16/,
  );
  t.match(table.stdout, /member-1 +HEALTHY +16\/16/);
  const status = JSON.parse(operate(dataDir, "pools", "--json").stdout);
  t.match(status, {
    broker: "gateway",
    pools: [{ name: "p", backlog: 4, inFlight: 16, members: 1, deadLetters: 0 }],
  });
  t.equal(
    statSync(join(dataDir, "control.sock")).mode & 0o777,
    0o600,
    "only the broker's user may open the socket",
  );
});

test("pools delete takes an undeclared pool without members, and refuses one with members", async (t) => {
  const { port, dataDir } = await startBroker(t);
  const member = await MqttClient.connect(t, port, "member");
  await member.subscribe("$share/q/ticks/#");
  const refused = operate(dataDir, "pools", "delete", "q");
  t.equal(refused.status, 1);
  t.match(refused.stderr, /EQ_CONTROL_REFUSED.*q has 1 members/);
  await member.disconnect();
  t.equal(operate(dataDir, "pools", "delete", "q").status, 0);
  t.same(JSON.parse(operate(dataDir, "pools", "--json").stdout).pools, []);
});

test("dead letters are listed, survive a restart, are replayed and purged", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const first = await startBroker(t, { dataDir, args: pool });
  const fail = async (port: number, count: number): Promise<void> => {
    const member = await MqttClient.connect(t, port, "member");
    await member.subscribe("$share/p/ticks/#");
    for (let number = 0; number < count; number++) {
      const { messageId } = await member.next("publish");
      member.sendPublish("members/member/reject", JSON.stringify({ packetId: messageId, reason: "no" }));
      await member.next("puback");
    }
    await member.disconnect();
  };
  const publisher = await MqttClient.connect(t, first.port, "publisher");
  for (const text of ["one", "two"]) await publisher.publish("ticks/a", text);
  await fail(first.port, 2);
  await first.program.line(
    () => first.program.lines.filter(({ event }) => event === "delivery.dead").length === 2,
  );
  // One more commit: up to then the settled originals may come again after a crash.
  await publisher.publish("last/x", "kept", { retain: true });
  await first.program.stop("SIGKILL");
  const second = await startBroker(t, { dataDir, args: pool });
  const listed = JSON.parse(operate(dataDir, "dead", "list", "p", "--json").stdout);
  t.same(
    listed.map(({ topic, payload, attempts }: Record<string, unknown>) => [topic, payload, attempts]),
    [
      ["ticks/a", "one", 1],
      ["ticks/a", "two", 1],
    ],
  );
  t.match(operate(dataDir, "dead", "list", "p").stdout, /ticks\/a {2}1 attempts, .*\n {2}no\n {2}one/);
  t.equal(operate(dataDir, "dead", "replay", "p").stdout, "replayed 2\n");
  const member = await MqttClient.connect(t, second.port, "member");
  await member.subscribe("$share/p/ticks/#");
  t.same([await member.receive(), await member.receive()], ["one", "two"]);
  await member.disconnect();
  t.same(JSON.parse(operate(dataDir, "dead", "list", "p", "--json").stdout), []);
  const again = await MqttClient.connect(t, second.port, "publisher");
  await again.publish("ticks/a", "three");
  await fail(second.port, 1);
  await second.program.event("delivery.dead");
  t.equal(operate(dataDir, "dead", "purge", "p").stdout, "purged 1\n");
  t.equal(operate(dataDir, "dead", "list", "p").stdout, "no dead letters\n");
});

test("a control socket gets the directory that it needs, and is not taken from whoever has it", async (t) => {
  const path = join(await temporaryDirectory(t), "not", "there", "control.sock");
  const args = ["--durability", "memory", "--listen", "mqtt://127.0.0.1:0", "--control", path];
  const first = startProgram(t, "broker", [...args, "--broker-id", "first"]);
  await first.event("ready");
  const second = startProgram(t, "broker", [...args, "--broker-id", "second"]);
  t.match(await second.event("control.unavailable"), {
    path,
    reason: /another running service has it; .*--control/,
  });
  const whose = () => JSON.parse(operate(dirname(path), "pools", "--json").stdout).broker;
  t.equal(whose(), "first");
  await second.stop();
  t.equal(whose(), "first", "still, when the other one has ended");
  await first.stop("SIGKILL");
  const third = startProgram(t, "broker", [...args, "--broker-id", "third"]);
  await third.event("ready");
  t.equal(whose(), "third", "what a killed one has left is replaced");
});

test("without a broker a command says so in one line", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const { status, stderr } = operate(dataDir, "pools");
  t.equal(status, 1);
  t.match(stderr, /^equipoise-broker pools: EQ_CONTROL_UNREACHABLE: .*control\.sock: ENOENT .*--data-dir/);
  t.equal(stderr.trim().split("\n").length, 1);
});
