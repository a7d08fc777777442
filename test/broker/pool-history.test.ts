import fc from "fast-check";
import { test } from "tap";
import { createStrategy, strategyNames } from "../../broker/src/strategy/index.ts";
import { filter, numberOf, type VirtualClient, VirtualPool } from "./virtual-pool.ts";

const step = fc.oneof(
  fc.record({
    do: fc.constant("publish" as const),
    count: fc.integer({ min: 1, max: 30 }),
    qos: fc.constantFrom<0 | 1 | 2>(0, 1, 2),
  }),
  fc.record({ do: fc.constant("join" as const), qos: fc.nat(2) }),
  fc.record({
    do: fc.constantFrom(
      "unsubscribe" as const,
      "subscribe" as const,
      "crash" as const,
      "disconnect" as const,
    ),
    who: fc.nat(4),
  }),
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constantFrom("acknowledge" as const, "reject" as const, "answerLate" as const),
      who: fc.nat(4),
      count: fc.integer({ min: 1, max: 20 }),
    }),
  },
  fc.record({
    do: fc.constant("beat" as const),
    who: fc.nat(4),
    queueDepth: fc.constantFrom(0, 10, 1_000, 1e300),
    serviceTimeMs: fc.constantFrom(0, 1, 1e300),
    creditLimit: fc.constantFrom(1, 3, 65_535),
    weight: fc.constantFrom(0, 1, Number.MAX_VALUE),
    state: fc.constantFrom("up" as const, "up" as const, "draining" as const),
  }),
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("pass" as const),
      forMs: fc.constantFrom(0, 3, 100, 700, 2_000, 31_000),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** A pool with whatever may happen to it, and the clients that are connected. */
class History {
  readonly world: VirtualPool;
  clients: VirtualClient[] = [];
  readonly wrong: string[] = [];
  readonly #strategies = strategyNames.filter((name) => name !== "key_affinity");

  constructor(strategy: number, seed: number) {
    const name = this.#strategies[strategy % this.#strategies.length] ?? "weighted";
    this.world = new VirtualPool({ strategy: createStrategy(name, () => 0.3) }, seed);
    this.world.onSend = (client, delivery) => {
      const { member } = client;
      if (member === undefined) return void this.wrong.push(`${client.clientId} is no member`);
      if (member.draining) this.wrong.push(`${client.clientId} drains`);
      if (member.inFlight > member.credit)
        this.wrong.push(`${member.inFlight} of ${member.credit} at ${client.clientId}`);
      if (this.clients.some(({ held }) => held.includes(delivery)))
        this.wrong.push(`${numberOf(delivery)} is in flight twice`);
    };
  }

  do(one: Step): void {
    const { world } = this;
    if (one.do === "publish") world.publish(one.count, one.qos);
    else if (one.do === "pass") world.pass(one.forMs);
    else if (one.do === "join") this.#join(one.qos);
    else this.#doOf(one, this.clients[one.who % Math.max(1, this.clients.length)]);
    world.pool.drain();
    this.check();
  }

  #join(qos: number): void {
    if (this.clients.length < 5)
      this.clients.push(this.world.join(`m${this.world.nowMs}.${this.clients.length}`, qos));
  }

  #doOf(one: Extract<Step, { who: number }>, client: VirtualClient | undefined): void {
    if (client === undefined) return;
    const { pool } = this.world;
    if (one.do === "unsubscribe") pool.leave(client, filter);
    else if (one.do === "subscribe") pool.join(client, filter, 1);
    else if (one.do === "crash" || one.do === "disconnect") {
      this.clients = this.clients.filter((other) => other !== client);
      client.end(one.do === "crash");
    } else if (one.do === "acknowledge") client.acknowledge(one.count);
    else if (one.do === "answerLate") client.answerLate(one.count);
    else if (one.do === "reject") client.reject();
    else if (one.do === "beat" && client.member !== undefined) {
      const { queueDepth, serviceTimeMs, creditLimit, weight, state } = one;
      client.beat({ queueDepth, serviceTimeMs, creditLimit, weight, state });
    }
  }

  /** Everything published is in one place, and every member is charged for exactly what its client has not answered. */
  check(): void {
    const { pool, published, settled } = this.world;
    const held = this.clients.flatMap((client) => client.held);
    const due = held.filter(({ sentAtMs }) => this.world.nowMs - sentAtMs > 30_200).length;
    if (due > 0) this.wrong.push(`${due} are held for longer than the acknowledgement timeout`);
    if (held.length + pool.waiting + settled !== published)
      this.wrong.push(`${held.length} held, ${pool.waiting} waiting, ${settled} settled of ${published}`);
    for (const { member, ...client } of this.clients.map((one) => ({
      member: one.member,
      held: one.held,
      late: one.late,
    }))) {
      if (member === undefined) continue;
      const own = client.held.filter(({ holder }) => holder === member).length;
      const late = client.late.filter((holder) => holder === member).length;
      if (member.inFlight !== own + late) this.wrong.push(`${member.inFlight} charged for ${own} + ${late}`);
    }
  }

  /** Everybody who is left takes and answers everything. */
  finish(): void {
    const last = this.world.join("last");
    for (let round = 0; round < 3_000 && this.world.pool.waiting + last.held.length > 0; round++)
      this.#answerAll(last);
    this.#answerAll(last);
    this.check();
    const { waiting } = this.world.pool;
    if (waiting > 0) this.wrong.push(`${waiting} wait for ever`);
    const { inFlight } = this.world.pool.report();
    if (inFlight > 0) this.wrong.push(`${inFlight} in flight after the last answer`);
  }

  #answerAll(last: VirtualClient): void {
    for (const client of [...this.clients, last]) {
      if (client.member !== undefined) client.beat({ queueDepth: 0, serviceTimeMs: 1 });
      client.acknowledge(1_000);
      client.answerLate(1_000);
    }
    this.world.pass(100);
  }
}

test("every credit is given back exactly once and nobody holds more than its own, whatever happens", (t) => {
  const property = fc.property(
    fc.array(step, { minLength: 20, maxLength: 100, size: "max" }),
    fc.nat(3),
    fc.integer(),
    (steps, strategy, seed) => {
      const history = new History(strategy, seed);
      for (const one of steps) history.do(one);
      history.finish();
      if (history.wrong.length > 0) throw new Error(history.wrong.slice(0, 3).join("; "));
    },
  );
  fc.assert(property, { numRuns: 300 });
  t.pass("300 histories");
  t.end();
});
