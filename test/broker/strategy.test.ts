import fc from "fast-check";
import { test } from "tap";
import { createStrategy, strategyNames } from "../../broker/src/strategy/index.ts";
import { scoreOf } from "../../broker/src/strategy/performance-based.ts";
import { seededRandom } from "../support/random.ts";
import { choiceOf, FakeMember, pickOf } from "./members.ts";

const members = (...names: string[]): FakeMember[] => names.map((name) => new FakeMember(name));

const anyMember = fc.record({
  inFlight: fc.nat(20),
  credit: fc.integer({ min: 1, max: 20 }),
  weight: fc.oneof(
    fc.constant(0),
    fc.constantFrom(1, 2, 1_000_000),
    fc.double({ min: 0, max: 1e6, noNaN: true }),
  ),
  extraWork: fc.oneof(fc.constant(0), fc.double({ min: 0, max: Number.MAX_VALUE, noNaN: true })),
  errorRate: fc.double({ min: 0, max: 1, noNaN: true }),
  serviceMs: fc.option(fc.double({ min: 0, max: Number.MAX_VALUE, noNaN: true }), { nil: undefined }),
  lastTakenAtMs: fc.constantFrom(Number.NEGATIVE_INFINITY, 0, 999),
});

test("no strategy picks a member outside the eligible, and each picks one when all are eligible", (t) => {
  const property = fc.property(
    fc.constantFrom(...strategyNames),
    fc.array(anyMember, { maxLength: 40 }),
    fc.integer(),
    fc.string(),
    (name, said, seed, key) => {
      const strategy = createStrategy(name, seededRandom(seed));
      const all = said.map((one, at) => new FakeMember(`m${at}`, one));
      const able = all.filter(({ inFlight, credit }) => inFlight < credit);
      const pick = strategy.pick(choiceOf(all, { key }));
      if (pick.kind === "picked" && !able.includes(pick.member)) return false;
      const free = strategy.pick(choiceOf(all, { key, eligible: all }));
      return (free.kind === "picked") === all.length > 0;
    },
  );
  fc.assert(property, { numRuns: 2_000 });
  t.pass("2,000 choices");
  t.end();
});

test("a score grows with what is in flight, with reported work, with the service time and with failures", (t) => {
  const quantity = fc.double({ min: 0, max: 1e6, noNaN: true });
  const more = fc.double({ min: 0.01, max: 1e3, noNaN: true });
  const property = fc.property(
    fc.nat(4_096),
    quantity,
    fc.double({ min: 0, max: 0.9, noNaN: true }),
    fc.double({ min: 0.001, max: 1e6, noNaN: true }),
    more,
    (inFlight, extraWork, errorRate, serviceMs, by) => {
      const before = scoreOf({ inFlight, extraWork, errorRate }, serviceMs);
      return (
        scoreOf({ inFlight: inFlight + 1, extraWork, errorRate }, serviceMs) > before &&
        scoreOf({ inFlight, extraWork: extraWork + by, errorRate }, serviceMs) > before &&
        scoreOf({ inFlight, extraWork, errorRate: errorRate + 0.01 }, serviceMs) > before &&
        scoreOf({ inFlight, extraWork, errorRate }, serviceMs + by) > before
      );
    },
  );
  fc.assert(property);
  t.ok(Number.isFinite(scoreOf({ inFlight: 0, extraWork: 0, errorRate: 1 }, 1)), "who fails everything, too");
  t.end();
});

test("round robin goes round, and who is skipped for want of credit comes first once, without saved-up turns", (t) => {
  const strategy = createStrategy("round_robin", () => 0);
  const [a, b, c] = members("a", "b", "c") as [FakeMember, FakeMember, FakeMember];
  const picks = (count: number, eligible: FakeMember[]): string =>
    Array.from({ length: count }, () => pickOf(strategy, choiceOf([a, b, c], { eligible }))).join("");
  t.equal(picks(6, [a, b, c]), "abcabc");
  t.equal(picks(4, [a, c]), "acac");
  t.equal(picks(4, [a, b, c]), "bacb");
  t.end();
});

test("least connections takes who holds least, and spreads over equals", (t) => {
  const strategy = createStrategy("least_connections", seededRandom(1));
  const all = members("a", "b", "c");
  (all[1] as FakeMember).inFlight = 3;
  const counts = countPicks(3_000, () => pickOf(strategy, choiceOf(all)));
  t.equal(counts.get("b"), undefined);
  for (const name of ["a", "c"])
    t.ok(Math.abs((counts.get(name) ?? 0) - 1_500) < 150, `${name} ${counts.get(name)}`);
  t.end();
});

test("weighted is smooth weighted round robin, in its exact order", (t) => {
  const strategy = createStrategy("weighted", () => 0);
  const all = [new FakeMember("a", { weight: 5 }), new FakeMember("b"), new FakeMember("c")];
  t.equal(sequence(strategy, all, 14), "aabacaaaabacaa");
  t.end();
});

test("weighted keeps to the weights while members come and go: nobody is ever a round ahead or behind", (t) => {
  const random = seededRandom(3);
  const strategy = createStrategy("weighted", random);
  const all = [4, 2, 1].map((weight, at) => new FakeMember(`m${at}`, { weight }));
  /** What each has earned by its weight, less what it has paid for its messages. */
  const balance = new Map(all.map(({ clientId }) => [clientId, 0]));
  let most = 0;
  for (let count = 0; count < 7_000; count++) {
    const some = all.filter(() => random() < 0.7);
    const eligible = some.length === 0 ? all : some;
    const total = eligible.reduce((sum, { weight }) => sum + weight, 0);
    const picked = pickOf(strategy, choiceOf(all, { eligible }));
    for (const { clientId, weight } of eligible) {
      const after = (balance.get(clientId) ?? 0) + weight - (clientId === picked ? total : 0);
      balance.set(clientId, after);
      most = Math.max(most, Math.abs(after));
    }
  }
  t.ok(most <= 7, `at most ${most} of a round of 7`);
  t.end();
});

test("a changed weight holds from the next messages on, whatever it was before", (t) => {
  const strategy = createStrategy("weighted", () => 0);
  const all = [new FakeMember("a", { weight: 1_000_000 }), new FakeMember("b")];
  sequence(strategy, all, 1_000);
  (all[0] as FakeMember).weight = 1;
  const counts = countPicks(100, () => pickOf(strategy, choiceOf(all)));
  for (const name of ["a", "b"])
    t.ok(Math.abs((counts.get(name) ?? 0) - 50) <= 3, `${name} ${counts.get(name)}`);
  t.end();
});

test("weight 0 gets what nobody else has credit for, and nothing more", (t) => {
  const strategy = createStrategy("weighted", () => 0);
  const [idle, busy] = [new FakeMember("idle", { weight: 0 }), new FakeMember("busy")];
  t.equal(sequence(strategy, [idle, busy], 5), "busybusybusybusybusy");
  t.equal(pickOf(strategy, choiceOf([idle, busy], { eligible: [idle] })), "idle");
  t.equal(pickOf(strategy, choiceOf([idle, busy])), "busy");
  t.end();
});

const keys = Array.from({ length: 4_000 }, (_, at) => `ticks/binance/S${at}/pi`);
const homes = (all: FakeMember[]): Map<string, string> => {
  const strategy = createStrategy("key_affinity", () => 0);
  return new Map(keys.map((key) => [key, pickOf(strategy, choiceOf(all, { key }))]));
};

test("key affinity: a join moves only the keys that the joiner gets, a leave only those of who leaves", (t) => {
  const before = homes(members("a", "b", "c", "d"));
  const after = homes(members("a", "b", "c", "d", "e"));
  const moved = keys.filter((key) => before.get(key) !== after.get(key));
  t.ok(moved.every((key) => after.get(key) === "e"));
  t.ok(
    Math.abs(moved.length - keys.length / 5) < 120,
    `${moved.length} of ${keys.length} moved to the fifth`,
  );
  const left = homes(members("d", "b", "a"));
  const gone = keys.filter((key) => before.get(key) !== left.get(key));
  t.ok(
    gone.every((key) => before.get(key) === "c"),
    "in whatever order they are known",
  );
  t.equal(gone.length, keys.filter((key) => before.get(key) === "c").length);
  t.end();
});

test("key affinity: keys are shared out by weight", (t) => {
  const home = homes([
    new FakeMember("a", { weight: 3 }),
    new FakeMember("b"),
    new FakeMember("none", { weight: 0 }),
  ]);
  const count = (name: string) => [...home.values()].filter((one) => one === name).length;
  t.ok(Math.abs(count("a") - 3_000) < 120, `${count("a")} of 4,000 at three quarters`);
  t.equal(count("none"), 0);
  t.end();
});

test("key affinity: nobody holds more than five quarters of its share, and a key comes home afterwards", (t) => {
  const strategy = createStrategy("key_affinity", () => 0);
  const all = ["a", "b", "c", "d"].map((name) => new FakeMember(name, { credit: 1_000 }));
  const home = pickOf(strategy, choiceOf(all, { key: "hot" }));
  for (let held = 0; held < 400; held++) {
    const pick = strategy.pick(choiceOf(all, { key: "hot" }));
    if (pick.kind === "picked") pick.member.inFlight++;
    const bound = Math.ceil((1.25 * (held + 1)) / 4);
    const most = Math.max(...all.map(({ inFlight }) => inFlight));
    if (most > bound) t.fail(`${most} of ${held + 1} at one member`);
  }
  t.ok(
    all.some(({ clientId, inFlight }) => clientId === home && inFlight === 125),
    "its home has its whole bound",
  );
  for (const member of all) member.inFlight = 0;
  t.equal(pickOf(strategy, choiceOf(all, { key: "hot" })), home);
  t.end();
});

test("performance_based weighs a member that nothing is known of as the median of the others", (t) => {
  const strategy = createStrategy("performance_based", () => 0);
  const all = [
    new FakeMember("quick", { serviceMs: 1 }),
    new FakeMember("usual", { serviceMs: 4 }),
    new FakeMember("slow", { serviceMs: 50 }),
    new FakeMember("new", { serviceMs: undefined }),
  ];
  const score = (member: FakeMember | undefined, nowMs: number) =>
    strategy.scoreOf?.(member as FakeMember, choiceOf(all, { nowMs }));
  t.equal(score(all[3], 1_000), score(all[1], 1_000));
  const nobody = members("x", "y");
  t.equal(
    strategy.scoreOf?.(nobody[0] as FakeMember, choiceOf(nobody, { nowMs: 2_000 })),
    1,
    "one millisecond when nothing is known at all",
  );
  t.end();
});

test("performance_based probes who had nothing for two seconds, with at most 0.3 % of the messages", (t) => {
  const strategy = createStrategy("performance_based", seededRandom(5));
  const quick = new FakeMember("quick", { serviceMs: 1, credit: 1_000 });
  const slow = new FakeMember("slow", { serviceMs: 500 });
  const all = [quick, slow];
  const takenAtMs: number[] = [];
  const count = 60_000;
  for (let at = 0; at < count; at++) {
    const nowMs = at * 2;
    const pick = strategy.pick(choiceOf(all, { nowMs }));
    if (pick.kind !== "picked") return void t.fail("nobody was picked");
    pick.member.lastTakenAtMs = nowMs;
    if (pick.member === slow) takenAtMs.push(nowMs);
  }
  t.ok(takenAtMs.length >= 50 && takenAtMs.length <= 1 + count * 0.003, `${takenAtMs.length} probes`);
  const gaps = takenAtMs.slice(1).map((atMs, at) => atMs - (takenAtMs[at] as number));
  t.ok(Math.min(...gaps) >= 2_000, `${Math.min(...gaps)} ms apart at least`);
  t.end();
});

test("performance_based: many members to probe do not get more than 0.3 % together", (t) => {
  const strategy = createStrategy("performance_based", seededRandom(5));
  const all = Array.from(
    { length: 30 },
    (_, at) => new FakeMember(`m${at}`, { serviceMs: at === 0 ? 1 : 900, credit: 1_000 }),
  );
  let probes = 0;
  for (let at = 0; at < 20_000; at++) {
    const pick = strategy.pick(choiceOf(all, { nowMs: 10_000 + at * 2 }));
    if (pick.kind !== "picked") return void t.fail("nobody was picked");
    pick.member.lastTakenAtMs = 10_000 + at * 2;
    if (pick.member !== all[0]) probes++;
  }
  t.ok(probes > 40 && probes <= 1 + 20_000 * 0.003, `${probes} probes`);
  t.end();
});

test("performance_based spreads over equals", (t) => {
  const strategy = createStrategy("performance_based", seededRandom(2));
  const all = ["a", "b", "c", "d"].map(
    (name) => new FakeMember(name, { serviceMs: 2, lastTakenAtMs: 1_000 }),
  );
  const counts = countPicks(4_000, () => pickOf(strategy, choiceOf(all)));
  for (const [name, count] of counts) t.ok(Math.abs(count - 1_000) < 120, `${name} ${count}`);
  t.end();
});

test("performance_based waits for a quick busy member instead of a free slow one, unless the queue is long", (t) => {
  const strategy = createStrategy("performance_based", seededRandom(2));
  const quick = new FakeMember("quick", { serviceMs: 1, inFlight: 4, credit: 4, lastTakenAtMs: 1_000 });
  const slow = new FakeMember("slow", { serviceMs: 40, lastTakenAtMs: 1_000 });
  const pick = (waiting: number) => pickOf(strategy, choiceOf([quick, slow], { waiting }));
  t.equal(pick(1), "wait");
  t.equal(pick(20), "wait");
  t.equal(pick(40), "slow", "those behind it gain more than it loses");
  quick.serviceMs = 60;
  t.equal(pick(1), "slow", "who waits for somebody slower loses twice");
  t.end();
});

test("performance_based picks somebody even if every score is beyond all numbers", (t) => {
  const strategy = createStrategy("performance_based", seededRandom(2));
  const absurd = { serviceMs: Number.MAX_VALUE, extraWork: Number.MAX_VALUE, lastTakenAtMs: 1_000 };
  const count = (size: number) => Array.from({ length: size }, (_, at) => new FakeMember(`m${at}`, absurd));
  t.equal(pickOf(strategy, choiceOf(count(1))), "m0");
  t.match(pickOf(strategy, choiceOf(count(40))), /^m\d+$/);
  t.end();
});

test("performance_based over more than 32 members prefers the quick ones, and no one is left out", (t) => {
  const strategy = createStrategy("performance_based", seededRandom(4));
  const all = Array.from(
    { length: 60 },
    (_, at) => new FakeMember(`m${at}`, { serviceMs: at < 30 ? 1 : 10, credit: 64 }),
  );
  const counts = countPicks(6_000, () => {
    const pick = strategy.pick(choiceOf(all));
    return pick.kind === "picked" ? pick.member.clientId : "wait";
  });
  const quick = all.slice(0, 30).reduce((sum, { clientId }) => sum + (counts.get(clientId) ?? 0), 0);
  // The best of three is a slow one only when all three are.
  t.ok(Math.abs(quick / 6_000 - 7 / 8) < 0.03, `${quick} of 6,000 to the quick half`);
  t.equal(counts.size, 60);
  t.equal(counts.get("wait"), undefined);
  t.end();
});

function countPicks(count: number, pick: () => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (let at = 0; at < count; at++) {
    const name = pick();
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return counts;
}

function sequence(strategy: ReturnType<typeof createStrategy>, all: FakeMember[], count: number): string {
  return Array.from({ length: count }, () => pickOf(strategy, choiceOf(all))).join("");
}
