import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { test } from "tap";
import { createHealthChecker } from "../../broker/src/health/index.ts";
import { reportOf } from "../../broker/src/pool/member-report.ts";
import { createStrategy } from "../../broker/src/strategy/index.ts";
import { numberOf, type VirtualClient, VirtualPool } from "./virtual-pool.ts";

/** Everybody answers everything at once, for a while; `rate` messages in each 100 ms. */
function work(world: VirtualPool, clients: VirtualClient[], forMs: number, rate = 10): void {
  world.pass(forMs, () => {
    world.publish(rate);
    world.nowMs += 1;
    for (const client of clients) client.acknowledge(1_000);
  });
}

test("at the start everybody has its whole credit at once", (t) => {
  const world = new VirtualPool();
  const clients = ["a", "b"].map((name) => world.join(name));
  t.same(
    clients.map(({ member }) => member.credit),
    [16, 16],
  );
  t.end();
});

test("who joins members that work begins with two credits and has the others' after ten seconds", (t) => {
  const world = new VirtualPool();
  const clients = [world.join("a"), world.join("b")];
  work(world, clients, 15_000);
  const late = world.join("late");
  const credits: number[] = [];
  for (let second = 0; second <= 11; second++) {
    credits.push(late.member.credit);
    work(world, [...clients, late], 1_000);
  }
  t.equal(credits[0], 2);
  t.ok(
    credits.every((credit, at) => at === 0 || credit >= (credits[at - 1] as number)),
    credits.join(" "),
  );
  const usual = Math.min(...clients.map(({ member }) => member.credit));
  t.ok((credits[5] as number) > 2 && (credits[5] as number) < usual, credits.join(" "));
  t.ok((credits[10] as number) >= 16, credits.join(" "));
  const again = world.join("again");
  t.equal(again.member.credit, 2);
  t.end();
});

test("who joins when the others only drain begins in full", (t) => {
  const world = new VirtualPool();
  const old = world.join("old");
  work(world, [old], 12_000);
  old.beat({ state: "draining" });
  t.equal(world.join("new").member.credit, 16);
  t.end();
});

/** A pool of two that report, of which one freezes while it holds messages. */
function freeze(said: { beats?: boolean; qos?: 1 | 2 } = {}) {
  const world = new VirtualPool();
  const clients = [world.join("frozen", 2), world.join("other", 2)];
  const [frozen, other] = clients as [VirtualClient, VirtualClient];
  const alive = () => {
    world.publish(20);
    world.nowMs += 1;
    for (const client of clients) client.acknowledge(1_000);
    if (said.beats ?? true) for (const client of clients) client.beat({ queueDepth: 0, serviceTimeMs: 1 });
  };
  world.pass(5_000, alive);
  world.publish(16, said.qos ?? 1);
  const held = [...frozen.held];
  const frozenAtMs = world.nowMs;
  const others = () => {
    world.nowMs += 1;
    other.acknowledge(1_000);
    other.beat();
  };
  return { world, frozen, other, held, frozenAtMs, others };
}

test("what a frozen member held is with others within a second, and no attempt", (t) => {
  const { world, frozen, other, held, others } = freeze();
  t.ok(held.length > 0, `${held.length} held`);
  world.pass(1_000, others);
  t.same(frozen.held, []);
  const numbers = held.map(numberOf);
  t.ok(
    numbers.every((number) => other.got.includes(number)),
    "all of it was sent to the other",
  );
  t.ok(held.every(({ attempts, failures }) => attempts === 0 && failures === undefined));
  t.equal(world.settled, world.published);
  t.match(world.rescues, [{ clientId: "frozen", messages: held.length }]);
  t.equal(frozen.member.inFlight, held.length, "the credit is not free before it answers");
  frozen.answerLate(1_000);
  t.equal(frozen.member.inFlight, 0);
  t.end();
});

test("a QoS 2 message stays with a frozen member", (t) => {
  const { world, frozen, held, others } = freeze({ qos: 2 });
  world.pass(1_500, others);
  t.same(frozen.held, held);
  t.same(world.rescues, []);
  t.end();
});

test("what a member held that never reported stays until the acknowledgement timeout, and is an attempt then", (t) => {
  const { world, frozen, held, others } = freeze({ beats: false });
  world.pass(29_900, others);
  t.same(frozen.held, held);
  world.pass(400, others);
  t.same(frozen.held, []);
  t.ok(held.every(({ attempts }) => attempts === 1));
  t.end();
});

test("an idle member that is silent is not frozen", (t) => {
  const world = new VirtualPool();
  const [idle, busy] = [world.join("idle"), world.join("busy")];
  idle.beat();
  world.pass(20_000, () => busy.beat());
  t.same(world.changes, []);
  t.equal(idle.member.eligible, true);
  t.end();
});

/** A member whose work blocks it: it speaks only between two messages. */
function blocking(world: VirtualPool, client: VirtualClient, workMs: number): () => void {
  let busyUntilMs = 0;
  let working = false;
  return () => {
    if (world.nowMs < busyUntilMs) return;
    if (working) {
      if (client.late.length > 0) client.answerLate();
      else client.acknowledge();
    }
    client.beat();
    working = client.late.length + client.held.length > 0;
    if (working) busyUntilMs = world.nowMs + workMs;
  };
}

test("members whose work blocks them for longer than two heartbeats still get everything done", (t) => {
  const world = new VirtualPool();
  const steps = ["a", "b", "c"].map((name) => blocking(world, world.join(name), 900));
  world.publish(60);
  world.pass(200_000, () => {
    for (const one of steps) one();
  });
  t.equal(world.settled, 60);
  const repeats = world.pool.report().rescued;
  t.ok(repeats < 200, `${repeats} taken back in vain`);
  t.end();
});

test("a draining member gets nothing new and loses nothing", (t) => {
  const world = new VirtualPool();
  const [draining, other] = [world.join("draining"), world.join("other")];
  world.publish(20);
  const held = draining.held.length;
  draining.beat({ state: "draining" });
  world.publish(20);
  t.equal(draining.held.length, held);
  world.pass(5_000, () => {
    draining.speak();
    other.acknowledge(1_000);
  });
  t.equal(draining.held.length, held);
  draining.acknowledge(1_000);
  t.equal(world.settled, world.published);
  t.equal(draining.got.length, held);
  draining.beat();
  world.publish(30);
  t.ok(draining.held.length > 0, "until it is up again");
  t.end();
});

test("with everybody draining messages wait, and go to who comes", (t) => {
  const world = new VirtualPool();
  const old = world.join("old");
  old.beat({ state: "draining" });
  world.publish(5);
  world.pass(2_000);
  t.same(old.got, []);
  t.equal(world.join("new").held.length, 5);
  t.end();
});

test("the operator goes before the checker: out, only for what others have no credit for, and in again", (t) => {
  const world = new VirtualPool();
  const [one, other] = [world.join("one"), world.join("other")];
  world.pool.tune({ operatorHealth: { one: "UNHEALTHY" } });
  world.publish(20);
  world.pass(2_000);
  t.same([one.held.length, other.held.length], [0, 16]);
  world.pool.tune({ operatorHealth: { one: "DEGRADED" } });
  world.pool.drain();
  t.same([one.held.length, other.held.length], [4, 16]);
  other.acknowledge(10);
  world.publish(3);
  t.same([one.held.length, other.held.length], [4, 9]);
  world.pool.tune({ operatorHealth: {} });
  world.publish(3);
  t.ok(one.held.length > 4);
  t.end();
});

test("a report says for how long the operator's word has held, not the checker's", (t) => {
  const world = new VirtualPool();
  const { member } = world.join("one");
  world.pass(5_000);
  world.pool.tune({ operatorHealth: { one: "UNHEALTHY" } });
  world.pass(700);
  world.pool.tune({ operatorHealth: { one: "UNHEALTHY" } });
  world.pass(300);
  t.match(reportOf(member, world.nowMs), { healthReason: "set by the operator", healthForMs: 1_000 });
  world.pool.tune({ operatorHealth: {} });
  t.match(reportOf(member, world.nowMs), { healthReason: "", healthForMs: 6_000 });
  t.end();
});

test("client ids that JavaScript knows by themselves have neither weight nor health said of them", (t) => {
  const world = new VirtualPool({ strategy: createStrategy("weighted", () => 0) });
  world.pool.tune({ operatorHealth: { other: "DEGRADED" }, weights: { other: 2 } });
  const client = world.join("constructor");
  t.equal(client.member.operatorSays, undefined);
  t.equal(client.member.weight, 1);
  world.pool.tune({ operatorHealth: {}, weights: {} });
  t.equal(client.member.operatorSays, undefined);
  t.equal(client.member.weight, 1);
  t.end();
});

test("members that declare weights beyond all numbers share alike", (t) => {
  const world = new VirtualPool({ strategy: createStrategy("weighted", () => 0) });
  const clients = ["a", "b", "c"].map((name) => world.join(name));
  for (const client of clients) client.beat({ weight: Number.MAX_VALUE });
  work(world, clients, 2_000, 3);
  t.equal(world.settled, world.published);
  for (const { got } of clients) t.equal(got.length, world.published / 3);
  t.end();
});

for (const health of ["basic", "advanced"] as const) {
  test(`no message waits for a quick member that answers nothing any more, with ${health} health`, (t) => {
    const world = new VirtualPool({ health: createHealthChecker(health), ackTimeoutMs: 5_000 });
    const [gone, slow] = [world.join("gone"), world.join("slow")];
    let due = 0;
    world.pass(5_000, () => {
      world.publish(10);
      world.nowMs += 1;
      gone.acknowledge(1_000);
      if (++due % 4 === 0) slow.acknowledge();
    });
    world.publish(40);
    // From now on the quick one is silent, and what it held comes back.
    const round = () => {
      if (++due % 4 !== 0) return;
      if (slow.late.length > 0) slow.answerLate();
      else slow.acknowledge();
    };
    world.pass(200_000, round);
    t.equal(world.pool.waiting, 0);
    for (let at = 0; at < 10; at++) {
      world.publish(1);
      const number = world.published - 1;
      world.pass(1_500, round);
      t.ok(slow.got.includes(number), `message ${number}`);
    }
    t.end();
  });
}

test("a member that timed out is tried again with one message, however long nothing was there to try it with", (t) => {
  const world = new VirtualPool({ ackTimeoutMs: 1_000, strategy: createStrategy("round_robin", () => 0) });
  const clients = ["a", "b", "c"].map((name) => world.join(name));
  const [late, ...others] = clients as [VirtualClient, VirtualClient, VirtualClient];
  world.publish(9);
  for (const other of others) other.acknowledge(1_000);
  world.pass(1_200, () => {
    for (const other of others) other.acknowledge(1_000);
  });
  t.match(world.changes.at(-1), { clientId: "a", to: "UNHEALTHY" });
  late.answerLate(1_000);
  world.pass(300_000);
  const before = late.got.length;
  world.publish(1);
  t.match(world.pool.decisions.at(-1), {
    picked: "a",
    leftOut: [{ clientId: "b", reason: "HEALTHY: another one is being tried" }, { clientId: "c" }],
  });
  world.publish(4);
  t.equal(late.got.length, before + 1, "one message");
  world.pass(700);
  late.acknowledge();
  world.pass(200);
  t.match(world.changes.at(-1), { clientId: "a", from: "UNHEALTHY", to: "DEGRADED" });
  world.pass(2_500, () => {
    for (const other of others) other.acknowledge(1_000);
  });
  t.match(world.changes.at(-1), { clientId: "a", to: "HEALTHY" });
  t.end();
});

test("a checker that throws leaves routing by what is in flight in force", (t) => {
  const world = new VirtualPool();
  const clients = ["a", "b", "c"].map((name) => world.join(name));
  world.pool.tune({
    health: {
      name: "advanced",
      check: () => {
        throw new Error("broken");
      },
    },
  });
  world.pass(200);
  t.same(world.checkerFailures, ["broken"]);
  world.publish(30);
  t.same(
    clients.map(({ held }) => held.length),
    [10, 10, 10],
  );
  clients[0]?.acknowledge(6);
  world.publish(6);
  t.same(
    clients.map(({ held }) => held.length),
    [10, 10, 10],
  );
  t.end();
});

test("nothing is kept of a member that has gone without answering", async (t) => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  const world = new VirtualPool({ ackTimeoutMs: 1_000 });
  const gone = (() => {
    const client = world.join("gone");
    world.publish(3);
    world.pass(1_500);
    client.end(true);
    return new WeakRef(client);
  })();
  const other = world.join("other");
  world.pass(2_000, () => other.acknowledge(10));
  await new Promise((resolve) => setImmediate(resolve));
  collect();
  t.equal(gone.deref(), undefined);
});
