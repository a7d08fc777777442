import fc from "fast-check";
import { test } from "tap";
import { createHealthChecker } from "../../broker/src/health/index.ts";
import { type Chunk, ChunkBuilder, encodePublish } from "../../broker/src/journal/chunk.ts";
import { MemoryJournal } from "../../broker/src/journal/memory.ts";
import { Indexes, Slice } from "../../broker/src/journal/slice.ts";
import { Backlog } from "../../broker/src/pool/backlog.ts";
import type { Delivery } from "../../broker/src/pool/delivery.ts";
import type { Receiver } from "../../broker/src/pool/member.ts";
import { Pool } from "../../broker/src/pool/pool.ts";
import { createStrategy } from "../../broker/src/strategy/index.ts";
import { declared, startBroker } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";

/** A member's connection in which the test decides what is answered. */
class FakeReceiver implements Receiver {
  readonly clientId: string;
  ready = true;
  readonly lastHeardAtMs = 0;
  readonly silenceLimitMs = 0;
  readonly held: Delivery[] = [];
  onDisconnect: () => void = () => {};
  onSend: (delivery: Delivery) => void = () => {};

  constructor(clientId: string) {
    this.clientId = clientId;
  }

  send(delivery: Delivery): void {
    this.held.push(delivery);
    this.onSend(delivery);
  }

  quarantine(delivery: Delivery): void {
    this.take(delivery);
  }

  disconnect(): void {
    this.onDisconnect();
  }

  take(delivery: Delivery): void {
    this.held.splice(this.held.indexOf(delivery), 1);
  }
}

/** An ordered pool on its own, keys being topics. */
function orderedPool(random: () => number) {
  const journal = new MemoryJournal();
  const unlimited = { maxBytes: 2 ** 40, maxHotBytes: 2 ** 40 };
  const fail = (error: Error): never => {
    throw error;
  };
  const pool: Pool = new Pool(
    {
      name: "p",
      declared: true,
      strategy: createStrategy("least_connections", random),
      health: createHealthChecker("advanced"),
      weights: {},
      fallback: undefined,
      ordering: "key",
      key: "topic",
      ackTimeoutMs: 1_000,
      maxDeliveries: 1_000,
      maxBacklogBytes: 2 ** 40,
      whenFull: "backpressure",
      retainWhenEmptyMs: 1_000,
    },
    {
      wake: () => {},
      openBacklog: () => backlog,
      onDropped: () => {},
      onFailed: () => {},
      bury: () => {},
      onHealth: () => {},
      onPanic: () => {},
      onCheckerFailed: () => {},
      onRescued: () => {},
      random,
      wallMs: () => 0,
      monotonicMs: () => 0,
    },
  );
  const backlog = new Backlog({
    limits: unlimited,
    journal,
    queue: undefined,
    onReady: () => {},
    onReadFailed: fail,
  });
  pool.adopt("#", backlog);
  let number = 0;
  const publish = (topics: readonly string[]): void => {
    const builder = new ChunkBuilder(64);
    const indexes = new Indexes();
    for (const topic of topics) {
      const frame = encodePublish(topic, Buffer.from(String(number++)), { qos: 1, retain: false });
      indexes.add(builder.addFrame(frame, 0, frame.length));
    }
    const chunk: Chunk = builder.finish(journal.nextId());
    backlog.push(new Slice(chunk, indexes));
  };
  return { pool, publish };
}

type Action =
  | { do: "publish"; keys: number[] }
  | { do: "join" }
  | { do: "leave"; who: number }
  | { do: "crash"; who: number }
  | { do: "ack" | "reject"; who: number; which: number };

const who = fc.nat(3);
const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("publish" as const),
      keys: fc.array(fc.nat(3), { minLength: 1, maxLength: 6 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("join" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("leave" as const, "crash" as const), who }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("ack" as const), who, which: fc.nat(10) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("reject" as const), who, which: fc.nat(10) }) },
);

test("in an ordered pool a key's messages are first handled in order, at one member at a time, whatever happens", async (t) => {
  const property = fc.property(fc.array(action, { maxLength: 80 }), (actions) => {
    const { pool, publish } = orderedPool(() => 0.3);
    let members: FakeReceiver[] = [];
    const settled = new Map<string, number>();
    let published = 0;
    const check = (receiver: FakeReceiver, delivery: Delivery): void => {
      const { topic } = delivery;
      const number = Number(delivery.payload.toString());
      const elsewhere = members.filter(
        (other) => other !== receiver && other.held.some((held) => held.topic === topic),
      );
      if (elsewhere.length > 0) throw new Error(`${topic} is in flight at two members`);
      const ahead = receiver.held.filter((held) => held !== delivery && held.topic === topic);
      if (ahead.some((held) => Number(held.payload.toString()) > number))
        throw new Error(`${topic}: ${number} overtaken`);
      if ((settled.get(topic) ?? -1) > number)
        throw new Error(`${topic}: ${number} after a later one was settled`);
    };
    const end = (receiver: FakeReceiver, failed: boolean): void => {
      receiver.ready = false;
      members = members.filter((other) => other !== receiver);
      for (const delivery of [...receiver.held].reverse()) {
        receiver.take(delivery);
        delivery.holder?.returned(delivery, failed);
      }
      pool.leave(receiver, "#");
    };
    const join = (): void => {
      const receiver = new FakeReceiver(`m${members.length}`);
      receiver.onDisconnect = () => end(receiver, false);
      receiver.onSend = (delivery) => check(receiver, delivery);
      members.push(receiver);
      pool.join(receiver, "#", 1);
    };
    const answer = (receiver: FakeReceiver, which: number, acknowledge: boolean): void => {
      const delivery = receiver.held[which % receiver.held.length];
      if (delivery === undefined) return;
      // A client handles a key's messages in the order in which they came.
      const first = receiver.held.find(({ topic }) => topic === delivery.topic) as Delivery;
      const { topic } = first;
      const number = Number(first.payload.toString());
      receiver.take(first);
      if (acknowledge) settled.set(topic, number);
      if (acknowledge) first.holder?.acknowledged(first, 1);
      else first.holder?.rejected(first, "no");
    };
    for (const step of actions) {
      if (step.do === "publish") {
        publish(step.keys.map((key) => `k${key}`));
        published += step.keys.length;
      } else if (step.do === "join") {
        if (members.length < 4) join();
      } else {
        const receiver = members[step.who % Math.max(1, members.length)];
        if (receiver === undefined) continue;
        if (step.do === "leave" || step.do === "crash") end(receiver, step.do === "crash");
        else answer(receiver, step.which, step.do === "ack");
      }
      pool.drain();
    }
    // In the end everything is delivered.
    if (members.length === 0) join();
    pool.drain();
    for (let round = 0; round < published * 4 + 10; round++) {
      for (const receiver of [...members]) answer(receiver, 0, true);
      pool.drain();
    }
    return pool.waiting === 0 && members.every(({ held }) => held.length === 0);
  });
  fc.assert(property, { numRuns: 400 });
  t.pass("400 histories");
});

test("a slow member delays only its own keys", async (t) => {
  const { port } = await startBroker(t, { args: declared({ ordering: "key", key: "symbol" }) });
  const slow = await MqttClient.connect(t, port, "slow");
  await slow.subscribe("$share/p/ticks/#");
  const publisher = await MqttClient.connect(t, port, "publisher");
  const send = (symbol: string, text: string) =>
    publisher.publish("ticks/v/s/x", JSON.stringify({ symbol, text }));
  await send("A", "0");
  t.equal(JSON.parse((await slow.next("publish")).payload.toString()).symbol, "A");
  const quick = await MqttClient.connect(t, port, "quick");
  await quick.subscribe("$share/p/ticks/#");
  for (let number = 1; number <= 40; number++) await send(number % 2 === 0 ? "A" : "B", String(number));
  for (let number = 1; number <= 40; number += 2) {
    t.same(JSON.parse(await quick.receive()), { symbol: "B", text: String(number) });
  }
  slow.drop();
  for (let number = 0; number <= 40; number += 2) {
    t.same(JSON.parse(await quick.receive()), { symbol: "A", text: String(number) });
  }
});

test("in an ordered pool a member that times out is disconnected before its keys move", async (t) => {
  const { port, program } = await startBroker(t, {
    args: declared({ ordering: "key", ackTimeoutMs: 2_000 }),
  });
  const stuck = await MqttClient.connect(t, port, "stuck");
  await stuck.subscribe("$share/p/ticks/#");
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (let number = 0; number < 3; number++) await publisher.publish("ticks/a", String(number));
  await stuck.next("publish");
  await stuck.closed;
  const closed = await program.line(
    ({ event, clientId }) => event === "connection.closed" && clientId === "stuck",
  );
  t.match(closed.reason, /ackTimeout|orderKept/);
  const other = await MqttClient.connect(t, port, "other");
  await other.subscribe("$share/p/ticks/#");
  for (let number = 0; number < 3; number++) t.equal(await other.receive(), String(number));
});
