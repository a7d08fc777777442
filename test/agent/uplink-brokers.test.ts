import { type Clock, systemClock } from "@equipoise/shared";
import { subscribe } from "@equipoise/shared/client";
import { test } from "tap";
import { observe } from "../../agent/src/uplink/observation.ts";
import { startBroker, temporaryDirectory } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import {
  type Script,
  type ScriptedBroker,
  type ScriptedConnection,
  startScriptedBroker,
} from "../support/scripted-broker.ts";
import type { Teardown } from "../support/teardown.ts";
import { shortest } from "../support/time.ts";
import { startReceivingBroker } from "./receiving-broker.ts";
import { counting, FakeClock, nowhere, startAgent, tradeLine, until } from "./support.ts";
import { startUplink, stream, streamOf, Ticks } from "./uplink-support.ts";

/** A clock that runs by itself, hundreds of times faster than time: what takes minutes here takes a second. */
function fastClock(t: Teardown): Clock {
  const clock = new FakeClock();
  const timer = setInterval(() => clock.advance(500), 1);
  t.teardown(() => clearInterval(timer));
  return clock;
}

function heartbeat(broker: string, state: string, pressed = false): string {
  const pools = [{ name: "p", backlog: 0, inFlight: 1, freeCredit: 9, pressed }];
  return JSON.stringify({ state, broker, timeMs: 1, expiresTimeMs: 1 + 60_000, pools });
}

/** A scripted broker that answers a subscription with its heartbeat, as a retained message would come. */
async function startTelling(t: Teardown, name: string, state: string, pressed = false) {
  const told = { text: heartbeat(name, state, pressed) };
  const broker = await startScriptedBroker(t, {
    onConnected: (connection) => void answer(connection, told),
  });
  return { broker, told };
}

async function answer(connection: ScriptedConnection, told: { text: string }): Promise<void> {
  await connection.until(() => connection.of("subscribe").length > 0);
  tell(connection, told.text);
}

function tell(connection: ScriptedConnection, text: string): void {
  const packet = { topic: "heartbeat/brokers/b", payload: text, qos: 0, dup: false, retain: true } as const;
  setImmediate(() => connection.send({ cmd: "publish", ...packet }));
}

const ticksOf = (broker: ScriptedBroker): number[] =>
  broker.connections.flatMap((connection) =>
    connection.publishedTo(stream.topic).map(({ payload }) => Number(payload.toString())),
  );

/** The first broker is tried first. */
const inOrder = { random: () => 0.99 };

test("from a broker that falls silent the agent is at another within 1.5 times its keepalive, attempt included", async (t) => {
  const keepaliveS = 3;
  const move = async (): Promise<number> => {
    const silent = await startScriptedBroker(t, { pings: false });
    const other = await startScriptedBroker(t);
    const { stop } = startUplink(t, [silent.url, other.url], new Ticks(0), {
      ...inOrder,
      ...{ keepaliveS, maxBackoffMs: 10_000 },
    });
    const first = await silent.connection();
    await first.until(() => first.of("subscribe").length > 0);
    const sinceMs = performance.now();
    const second = await other.connection();
    await second.until(() => second.of("subscribe").length > 0);
    const movedMs = Math.round(performance.now() - sinceMs);
    await stop();
    t.ok(movedMs > 1_200 * keepaliveS - 50, `after ${movedMs} ms`);
    return movedMs;
  };
  const boundMs = 1_500 * keepaliveS;
  t.ok((await shortest(boundMs, move)) < boundMs);
});

test("a broker that says it is draining is left at once for one that is well, and nothing is lost", async (t) => {
  const leaving = await startTelling(t, "a", "up");
  const away = nowhere;
  const well = await startTelling(t, "c", "up");
  const queue = new Ticks(100);
  const random = { value: 0.99 };
  const { uplink, lines } = startUplink(t, [leaving.broker.url, away, well.broker.url], queue, {
    random: () => random.value,
  });
  await uplink.drained();
  const [first] = leaving.broker.connections;
  if (first === undefined) throw new Error("unreachable");
  random.value = 0; // leaves at once
  leaving.told.text = heartbeat("a", "draining");
  tell(first, leaving.told.text);
  const adding = setInterval(() => queue.add(10), 1);
  t.teardown(() => clearInterval(adding));
  await until(() => uplink.stats().broker === well.broker.url);
  clearInterval(adding);
  queue.add(10);
  await uplink.drained();
  await first.closed;
  t.equal(first.of("disconnect").length, 1, "it says goodbye");
  const [before, after] = [ticksOf(leaving.broker), ticksOf(well.broker)];
  t.same(before, counting(1, before.length), "in order");
  t.same(after, counting(after[0] ?? 0, after.at(-1) ?? 0), "in order");
  t.ok((after[0] ?? 0) <= before.length + 1, "without a hole between them");
  t.equal(after.at(-1), queue.settled);
  t.match(
    lines.find(({ event }) => event === "moving"),
    { from: leaving.broker.url, to: well.broker.url, reason: "leaving" },
  );
  t.notOk(
    lines.some(({ event }) => event === "disconnected"),
    "it was never without a broker",
  );
});

test("a broker that stays pressed is left for one that is not, after a while", async (t) => {
  const clock = fastClock(t);
  const pressed = await startTelling(t, "a", "up", true);
  const well = await startTelling(t, "b", "up");
  let calls = 0;
  const { uplink, lines } = startUplink(t, [pressed.broker.url, well.broker.url], new Ticks(5), {
    clock,
    random: () => (calls++ === 0 ? 0.99 : 0.1),
  });
  await until(() => uplink.stats().broker === pressed.broker.url);
  const connectedMs = clock.monotonicMs();
  const telling = setInterval(
    () => tell(pressed.broker.connections[0] as ScriptedConnection, pressed.told.text),
    5,
  );
  t.teardown(() => clearInterval(telling));
  await until(() => uplink.stats().broker === well.broker.url);
  t.ok(clock.monotonicMs() - connectedMs >= 60_000, "not before it has stayed for a minute");
  t.match(
    lines.find(({ event }) => event === "moving"),
    { reason: "pressed" },
  );
  const [look] = well.broker.connections;
  t.match(look?.of("connect")[0], { clientId: "pi-7", will: undefined }, "a look has no last will");
  t.equal(look?.of("disconnect").length, 1, "and ends politely");
});

test("a move to a broker that refuses leaves everything as it is", async (t) => {
  const leaving = await startTelling(t, "a", "up");
  const script: Script = {
    onConnected: (connection) => {
      script.connectCode = 5; // whoever comes after the first look
      void answer(connection, { text: heartbeat("b", "up") });
    },
  };
  const refusing = await startScriptedBroker(t, script);
  const queue = new Ticks(5);
  const random = { value: 0.99 };
  const { uplink, lines } = startUplink(t, [leaving.broker.url, refusing.url], queue, {
    random: () => random.value,
  });
  await uplink.drained();
  random.value = 0;
  tell(leaving.broker.connections[0] as ScriptedConnection, heartbeat("a", "draining"));
  await until(() => lines.some(({ event }) => event === "moveFailed"));
  t.match(lines.at(-1), { code: "EQ_BROKER_REFUSED", broker: refusing.url });
  queue.add(5);
  await uplink.drained();
  t.match(uplink.stats(), { broker: leaving.broker.url, reconnects: 0, repeated: 0 });
});

test("a broker that is lost just before the move leaves the agent where it is, publishing", async (t) => {
  const leaving = await startReceivingBroker(t);
  leaving.acknowledges = false;
  const other = await startScriptedBroker(t, {
    onConnected: (connection) => {
      if (connection === other.connections[0]) void answer(connection, { text: heartbeat("b", "up") });
      else connection.destroy();
    },
  });
  const queue = new Ticks(30);
  const random = { value: 0.99 };
  const { uplink, lines } = startUplink(t, [leaving.url, other.url], queue, { random: () => random.value });
  await until(() => leaving.ticks.length === 10);
  random.value = 0;
  const [connection] = leaving.connections;
  const packet = { topic: "heartbeat/brokers/a", payload: heartbeat("a", "draining"), qos: 0 } as const;
  connection?.send({ cmd: "publish", dup: false, retain: true, ...packet });
  await until(() => lines.some(({ event }) => event === "moveFailed"));
  leaving.acknowledges = true;
  for (const tick of leaving.ticks) connection?.acknowledge(tick);
  await uplink.drained();
  t.equal(queue.settled, 30);
  t.match(uplink.stats(), { broker: leaving.url, reconnects: 0, repeated: 0 });
});

test("with one broker nobody listens to heartbeats", async (t) => {
  const { broker } = await startTelling(t, "a", "draining");
  const { uplink } = startUplink(t, [broker.url], new Ticks(5));
  await uplink.drained();
  t.same(broker.connections[0]?.of("subscribe"), []);
});

test("when the broker dies the agent goes on at the next one, with everything unacknowledged first", async (t) => {
  const dying = await startScriptedBroker(t);
  const next = await startScriptedBroker(t);
  const queue = new Ticks(1_000);
  const { uplink } = startUplink(t, [dying.url, next.url], queue, inOrder);
  const first = await dying.connection();
  await first.until(() => first.publishedTo(stream.topic).length >= 100);
  first.destroy();
  await uplink.drained();
  const [before, after] = [ticksOf(dying), ticksOf(next)];
  t.same(after, counting(after[0] ?? 0, 1_000));
  t.ok((after[0] ?? 0) <= before.length + 1, "no hole");
  t.equal(uplink.stats().broker, next.url);
});

test("real brokers: a pressed pool is seen in a short look, and a broker that stops is left", async (t) => {
  const pools = JSON.stringify([{ name: "p", filters: ["ticks/#"], maxBacklogBytes: 4_096 }]);
  const pressed = await startBroker(t, { args: ["--pools", pools, "--broker-id", "a"] });
  const well = await startBroker(t, { args: ["--broker-id", "b"] });
  const queue = new Ticks(10_000, (position) => ({
    position,
    stream: streamOf("S"),
    payload: `{"n":${position}}`,
    bufferedTimeMs: 5,
  }));
  const { uplink } = startUplink(t, [pressed.url, well.url], queue, inOrder);
  await until(() => uplink.stats().acknowledged > 0);
  const identity = { clientId: "watcher", username: undefined, password: undefined, tls: {}, keepaliveS: 15 };
  const { signal } = new AbortController();
  const clock = systemClock;
  let load = await observe(pressed.url, identity, clock, signal);
  while (load?.welcome !== "pressed") load = await observe(pressed.url, identity, clock, signal);
  t.match(load, { broker: "a", leaving: false, lifetimeMs: 3_000 });
  let open = await observe(well.url, identity, clock, signal);
  while (open === undefined) open = await observe(well.url, identity, clock, signal);
  t.match(open, { broker: "b", welcome: "open" });
  t.equal(await observe(nowhere, identity, clock, signal), undefined);

  const reader = await MqttClient.connect(t, well.port, "reader");
  await reader.subscribe("ticks/#");
  await pressed.program.stop();
  await until(() => uplink.stats().broker === well.url);
  await uplink.drained();
  t.equal(queue.settled, 10_000);
});

test("real brokers: with one killed in the middle, both together have every tick, each in order", async (t) => {
  const brokers = [await startBroker(t), await startBroker(t)] as const;
  const urls = brokers.map(({ url }) => url);
  const heard = brokers.map(() => [] as number[]);
  for (const [index, { url }] of brokers.entries()) {
    const consumer = subscribe({
      broker: url,
      clientId: "reader",
      persistent: true,
      filter: "ticks/#",
      handler: ({ seq }) => void heard[index]?.push(seq),
    });
    await consumer.start();
    t.teardown(() => consumer.stop());
  }
  const dataDir = await temporaryDirectory(t);
  const agent = startAgent(t, dataDir, urls.join(","), "--source", "stdin:", "--once");
  const total = 4_000;
  agent.child.stdin.write(
    counting(1, total / 2)
      .map((n) => tradeLine(n))
      .join(""),
  );
  await until(() => heard.some((seqs) => seqs.length >= 100));
  const first = heard.findIndex((seqs) => seqs.length >= 100);
  await brokers[first]?.program.stop("SIGKILL");
  agent.child.stdin.end(
    counting(total / 2 + 1, total)
      .map((n) => tradeLine(n))
      .join(""),
  );
  t.equal((await agent.exited).code, 0);
  const [before, after] = [heard[first] ?? [], heard[1 - first] ?? []];
  await until(() => after.at(-1) === total);
  // What the killed one had acknowledged it still delivers when it is back.
  await startBroker(t, { port: brokers[first]?.port ?? 0, dataDir: brokers[first]?.dataDir ?? "" });
  await until(() => before.length + 1 >= (after[0] ?? 0));
  t.same(before, counting(1, before.length));
  t.same(after, counting(after[0] ?? 0, total));
});
