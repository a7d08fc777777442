import { test } from "tap";
import { declared, startBroker, type TestBroker } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import { type Line, startProgram } from "../support/program.ts";
import { pause } from "../support/time.ts";

/** The first change of a member's health, past or to come, of which this holds. */
const changeOf = (
  { program }: TestBroker,
  clientId: string,
  accept: (line: Line) => boolean,
  from = 0,
): Promise<Line> =>
  program.line(
    (line) =>
      line.event === "member.health" &&
      line.clientId === clientId &&
      program.lines.indexOf(line) >= from &&
      accept(line),
  );

const healthOf = (broker: TestBroker, clientId: string, to: string): Promise<Line> =>
  changeOf(broker, clientId, (line) => line.to === to);

const trade = (seq: number): string =>
  JSON.stringify({
    ...{ type: "trade", venue: "v", symbol: "S", price: "1", size: "1", side: "buy" },
    ...{ exchangeTimeUs: 1, receivedTimeUs: 1, agent: "a", epoch: "e", seq },
  });

/** Publishes until something has happened: more at once than one member takes, so that both have work. */
async function publishUntil<T>(publisher: MqttClient, happened: Promise<T>): Promise<T> {
  let over = false;
  const end = happened.finally(() => {
    over = true;
  });
  for (let seq = 1; !over; ) {
    for (let count = 0; count < 40; count++) publisher.sendPublish("ticks/v/S/a", trade(seq++));
    for (let count = 0; count < 40; count++) await publisher.next("puback");
    await pause(50);
  }
  return await end;
}

test("a member process that is stopped is found out, its messages are with another, and it comes back", async (t) => {
  const broker = await startBroker(t, { args: declared() });
  const consumer = (clientId: string) =>
    startProgram(t, "consume", [
      ...["--broker", broker.url, "--pool", "p", "--client-id", clientId],
      ...["--format", "json", "--work-ms", "1"],
    ]);
  const [frozen] = [consumer("frozen"), consumer("other")];
  for (const clientId of ["frozen", "other"])
    await broker.program.line((line) => line.event === "pool.joined" && line.clientId === clientId);
  const publisher = await MqttClient.connect(t, broker.port, "publisher");
  const watcher = await MqttClient.connect(t, broker.port, "watcher");
  await watcher.subscribe("heartbeat/members/frozen", 0);
  // Of one that has never reported, silence says nothing.
  await publishUntil(publisher, watcher.next("publish", 60_000));
  const before = broker.program.lines.length;
  t.ok(frozen.child.kill("SIGSTOP"));
  const stoppedMs = performance.now();
  const rescued = await publishUntil(
    publisher,
    broker.program.line(
      (line) =>
        line.event === "pool.rescued" &&
        line.clientId === "frozen" &&
        broker.program.lines.indexOf(line) >= before,
    ),
  );
  t.equal(rescued.pool, "p");
  t.comment(`rescued ${rescued.messages} after ${Math.round(performance.now() - stoppedMs)} ms`);
  // On a busy machine it may have been degraded for something else, and is unhealthy then.
  const isSilent = ({ reason }: Line) => /^no heartbeat and no answer for/.test(String(reason));
  t.match(await changeOf(broker, "frozen", isSilent, before), { pool: "p", to: /^(DEGRADED|UNHEALTHY)$/ });
  const stopped = broker.program.lines.length;
  frozen.child.kill("SIGCONT");
  const isHealthy = ({ to }: Line) => to === "HEALTHY";
  t.match(await publishUntil(publisher, changeOf(broker, "frozen", isHealthy, stopped)), {
    from: "DEGRADED",
  });
});

test("a member that says nothing within its keepalive is degraded, unhealthy, then closed", async (t) => {
  const broker = await startBroker(t, { args: declared({ health: "basic" }) });
  const silent = await MqttClient.connect(t, broker.port, "silent", { keepalive: 6 });
  await silent.subscribe("$share/p/ticks/#");
  t.match(await healthOf(broker, "silent", "DEGRADED"), {
    from: "HEALTHY",
    reason: /^silent for [67]\.\d s$/,
  });
  t.match(await healthOf(broker, "silent", "UNHEALTHY"), {
    from: "DEGRADED",
    reason: /^silent for [78]\.\d s$/,
  });
  await silent.closed;
  t.match(await broker.program.line((line) => line.event === "pool.left" && line.clientId === "silent"), {
    members: 0,
  });
});
