import { test } from "tap";
import { declared, startBroker, type TestBroker } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import { type Line, startProgram } from "../support/program.ts";

const healthOf = ({ program }: TestBroker, clientId: string, to: string): Promise<Line> =>
  program.line((line) => line.event === "member.health" && line.clientId === clientId && line.to === to);

test("a member process that is stopped is found out, its messages are with another, and it comes back", async (t) => {
  const broker = await startBroker(t, { args: declared() });
  const consumer = (clientId: string) =>
    startProgram(t, "consume", [
      "--broker",
      broker.url,
      "--pool",
      "p",
      "--client-id",
      clientId,
      "--format",
      "json",
      "--work-ms",
      "1",
    ]);
  const [frozen] = [consumer("frozen"), consumer("other")];
  for (const clientId of ["frozen", "other"])
    await broker.program.line((line) => line.event === "pool.joined" && line.clientId === clientId);
  const publisher = await MqttClient.connect(t, broker.port, "publisher");
  let seq = 0;
  const publish = async (): Promise<void> => {
    const trade = {
      type: "trade",
      venue: "v",
      symbol: "S",
      price: "1",
      size: "1",
      side: "buy",
      exchangeTimeUs: 1,
      receivedTimeUs: 1,
      agent: "a",
      epoch: "e",
      seq: ++seq,
    };
    await publisher.publish("ticks/v/S/a", JSON.stringify(trade));
  };
  for (let count = 0; count < 100; count++) await publish();
  t.ok(frozen.child.kill("SIGSTOP"));
  const stoppedMs = performance.now();
  for (let count = 0; count < 40; count++) await publish();
  const rescued = await broker.program.event("pool.rescued");
  t.match(rescued, { pool: "p", clientId: "frozen" });
  t.comment(`rescued ${rescued.messages} after ${Math.round(performance.now() - stoppedMs)} ms`);
  t.match(await healthOf(broker, "frozen", "DEGRADED"), {
    pool: "p",
    from: "HEALTHY",
    reason: /no heartbeat and no answer for/,
  });
  frozen.child.kill("SIGCONT");
  t.match(await healthOf(broker, "frozen", "HEALTHY"), { from: "DEGRADED" });
});

test("a member that says nothing within its keepalive is degraded, unhealthy, then closed", async (t) => {
  const broker = await startBroker(t, { args: declared({ health: "basic" }) });
  const silent = await MqttClient.connect(t, broker.port, "silent", { keepalive: 2 });
  await silent.subscribe("$share/p/ticks/#");
  t.match(await healthOf(broker, "silent", "DEGRADED"), { from: "HEALTHY", reason: /^silent for 2\.\d s$/ });
  t.match(await healthOf(broker, "silent", "UNHEALTHY"), {
    from: "DEGRADED",
    reason: /^silent for 2\.\d s$/,
  });
  await silent.closed;
  t.match(await broker.program.line((line) => line.event === "pool.left" && line.clientId === "silent"), {
    members: 0,
  });
});
