import { PassThrough } from "node:stream";
import {
  type AgentHeartbeat,
  type Clock,
  decodePayload,
  readCommandLine,
  systemClock,
  type Trade,
} from "@equipoise/shared";
import mqtt from "mqtt";
import { type Test, test } from "tap";
import { Agent } from "../../agent/src/agent.ts";
import { program } from "../../agent/src/config.ts";
import { startBroker, temporaryDirectory } from "../support/broker.ts";
import { counting, FakeClock, recordedLog, tradeLine, until } from "./support.ts";
import { runVenue, VenueServer } from "./venue-server.ts";

const hourMs = 3_600_000;

/** The system's clock, of which somebody sets the wall clock. */
function steppedClock() {
  let stepMs = 0;
  const clock: Clock = { ...systemClock, wallMs: () => systemClock.wallMs() + stepMs };
  return {
    clock,
    step: (byMs: number): void => {
      stepMs += byMs;
    },
  };
}

/** A desk that has subscribed to all that the agent says, and asks for records. */
async function desk(t: Test, url: string) {
  const client = await mqtt.connectAsync(url, { clientId: "desk" });
  t.teardown(() => client.endAsync(true));
  const trades: Trade[] = [];
  const heartbeats: AgentHeartbeat[] = [];
  const parts: { requestId: string; records?: unknown[]; last?: boolean; missing?: unknown[] }[] = [];
  client.on("message", (topic, payload) => {
    if (topic.startsWith("ticks/")) trades.push(...(decodePayload(payload) as Trade[]));
    else if (topic.startsWith("replies/")) parts.push(JSON.parse(payload.toString()));
    else heartbeats.push(JSON.parse(payload.toString()));
  });
  await client.subscribeAsync(["ticks/#", "heartbeat/agents/#", "replies/desk/#"], { qos: 1 });
  const ask = async (method: string, body: object) => {
    const requestId = `${method}-${parts.length}`;
    const envelope = { requestId, replyTo: "replies/desk/r", venue: "binance", symbol: "BTCUSDT" };
    const own = () => parts.filter((part) => part.requestId === requestId);
    await client.publishAsync(`agents/pi-7/requests/${method}`, JSON.stringify({ ...envelope, ...body }), {
      qos: 1,
    });
    await until(() => own().some(({ last }) => last === true));
    return { records: own().flatMap(({ records = [] }) => records), last: own().at(-1) };
  };
  return { trades, heartbeats, ask };
}

test("a wall clock set by an hour, forth and back, changes no order, age, retention, heartbeat or answer", async (t) => {
  const broker = await startBroker(t);
  const { trades, heartbeats, ask } = await desk(t, broker.url);
  const { clock, step } = steppedClock();
  const { logger, lines } = recordedLog();
  const stdin = new PassThrough();
  const read = readCommandLine(
    program,
    [
      ...["--agent-id", "pi-7", "--source", "stdin:", "--broker", broker.url, "--heartbeat-ms", "100"],
      ...["--data-dir", await temporaryDirectory(t), "--buffer-max-age-ms", "120000"],
      ...["--buffer-keep-acknowledged-ms", "120000", "--buffer-commit-latency-ms", "5"],
    ],
    {},
  );
  if ("print" in read) throw new Error("an agent has something to do");
  const agent = new Agent({ config: read.config, logger, clock, random: Math.random, stdin });
  await agent.start();
  t.teardown(() => agent.stop());

  let fed = 0;
  const feed = async (count: number): Promise<void> => {
    for (const n of counting(fed + 1, fed + count)) stdin.write(tradeLine(n));
    fed += count;
    await until(() => trades.length >= fed);
    const before = heartbeats.length;
    await until(() => heartbeats.length >= before + 3);
  };
  await feed(50);
  for (const byMs of [hourMs, -2 * hourMs, hourMs]) {
    step(byMs);
    await feed(50);
  }
  t.same(
    trades.map(({ seq }) => seq),
    counting(1, 200),
    "in order, without a hole, each once",
  );
  t.equal(new Set(trades.map(({ epoch }) => epoch)).size, 1);
  const { epoch = "" } = trades[0] ?? {};
  const all = await ask("range", { fromSeq: 1, toSeq: 200 });
  t.equal(all.records.length, 200, "what was acknowledged is kept by the agent's own time");
  const again = await ask("resend", { epoch, fromSeq: 11, toSeq: 190 });
  t.same([again.records.length, again.last?.missing], [180, []]);
  const uptimes = heartbeats.map(({ uptimeMs }) => uptimeMs);
  t.same(
    uptimes,
    [...uptimes].sort((a, b) => a - b),
  );
  t.ok((uptimes.at(-1) ?? 0) < 120_000, "the uptime knows no hour");
  t.ok(heartbeats.every(({ buffer }) => (buffer.oldestAgeMs ?? 0) < 60_000 && buffer.lost === 0));
  t.match(heartbeats.at(-1), { clock: { steps: 3 }, uplink: { connected: true, reconnects: 0 } });
  t.equal(lines.filter(({ event }) => event === "clockStepped").length, 3);
});

test("ticks that wait for a broker are not too old because the wall clock was set", async (t) => {
  const broker = await startBroker(t);
  const { trades } = await desk(t, broker.url);
  const { clock, step } = steppedClock();
  const stdin = new PassThrough();
  broker.program.child.kill("SIGSTOP");
  const args = ["--agent-id", "pi-7", "--source", "stdin:", "--broker", broker.url];
  const bounds = ["--buffer-max-age-ms", "120000", "--buffer-commit-latency-ms", "5"];
  const often = ["--progress-period-ms", "1000"];
  const read = readCommandLine(
    program,
    [...args, ...bounds, ...often, "--data-dir", await temporaryDirectory(t)],
    {},
  );
  if ("print" in read) throw new Error("an agent has something to do");
  const { logger, lines } = recordedLog();
  const agent = new Agent({ config: read.config, logger, clock, random: Math.random, stdin });
  await agent.start();
  t.teardown(() => agent.stop());
  for (const [index, byMs] of [hourMs, hourMs, -3 * hourMs, hourMs].entries()) {
    for (const n of counting(index * 1_000 + 1, (index + 1) * 1_000)) stdin.write(tradeLine(n));
    const committed = () =>
      lines.findLast(({ event }) => event === "progress")?.buffered === (index + 1) * 1_000;
    await until(committed);
    step(byMs);
  }
  broker.program.child.kill("SIGCONT");
  await until(() => trades.length >= 4_000);
  t.same(
    trades.map(({ seq }) => seq),
    counting(1, 4_000),
  );
});

test("a venue's session takes no step of the wall clock for silence, for age or for a hole", async (t) => {
  const server = new VenueServer((client) =>
    client.socket.once("message", () => client.send('{"result":null,"id":1}')),
  );
  await server.start(t);
  const clock = new FakeClock();
  const { sink, lines } = runVenue(t, `binance:BTCUSDT?url=${server.url}`, { clock });
  const client = await server.client(0);
  await until(() => client.frames.length > 0);
  let id = 0;
  for (const byMs of [hourMs, -2 * hourMs, hourMs]) {
    id += 1;
    const trade = `{"e":"trade","s":"BTCUSDT","t":${id},"p":"1","q":"1","T":1723000000000,"m":true}`;
    await client.sendAll(`{"stream":"x","data":${trade}}`);
    clock.step(byMs);
    clock.advance(5_000);
  }
  t.same([sink.ids, sink.gaps, server.clients.length], [["1", "2", "3"], [], 1]);
  t.notOk(lines.some(({ event }) => event === "sourceLost" || event === "sourceReplacing"));
});
