import fc from "fast-check";
import { test } from "tap";
import type { PoolSigns, Verdict } from "../../broker/src/health/health.ts";
import {
  createHealthChecker,
  type HealthChecker,
  type HealthState,
  MemberHealth,
  type MemberSigns,
  type Patient,
  PoolHealth,
} from "../../broker/src/health/index.ts";
import { seededRandom } from "../support/random.ts";
import { signsOf } from "./members.ts";

const poolSigns: PoolSigns = { members: 3, medianServiceMs: 1, ackTimeoutMs: 30_000 };
const judged = (
  name: "basic" | "advanced",
  said: Partial<MemberSigns>,
  pool: Partial<PoolSigns> = {},
): Verdict => createHealthChecker(name).check(signsOf(said), { ...poolSigns, ...pool }, 10_000);

test("basic: silence within the keepalive, and messages held without a sign of life", (t) => {
  const basic = (said: Partial<MemberSigns>) => judged("basic", said).state;
  const silent = (silentMs: number, silenceLimitMs = 15_000) =>
    basic({ lastHeardAtMs: 10_000 - silentMs, silenceLimitMs });
  t.equal(basic({ lastHeardAtMs: -1e6 }), "HEALTHY", "without a keepalive an idle member may be silent");
  t.equal(silent(11_000), "HEALTHY");
  t.equal(silent(11_100), "DEGRADED");
  t.equal(silent(13_100), "UNHEALTHY");
  t.equal(basic({ oldestSentAtMs: -6_000, lastHeardAtMs: -5_001 }), "DEGRADED", "for half the time it has");
  t.equal(basic({ oldestSentAtMs: -6_000, lastHeardAtMs: 9_000 }), "HEALTHY", "it speaks");
  t.equal(basic({ oldestSentAtMs: 9_000, lastHeardAtMs: -1e6 }), "HEALTHY", "it was given nothing until now");
  t.equal(basic({ timeoutsInARow: 9, errorRate: 1 }), "HEALTHY", "failures are not its matter");
  t.end();
});

const frozen = { beats: 5, oldestSentAtMs: 0, inFlight: 3 };
for (const [sign, state, said, pool] of [
  ["a timeout", "DEGRADED", { timeoutsInARow: 1 }, {}],
  ["three timeouts in a row", "UNHEALTHY", { timeoutsInARow: 3 }, {}],
  ["four failures in a row", "HEALTHY", { errorsInARow: 4 }, {}],
  ["five failures in a row", "UNHEALTHY", { errorsInARow: 5 }, {}],
  ["a failure in seven", "DEGRADED", { errorRate: 1 / 6 }, {}],
  ["more failures than successes", "UNHEALTHY", { errorRate: 0.6 }, {}],
  ["the same after few answers", "HEALTHY", { errorRate: 0.6, answers: 9 }, {}],
  ["half a second of silence of one that reports", "HEALTHY", { ...frozen, lastHeardAtMs: 9_500 }, {}],
  ["two missed heartbeats", "DEGRADED", { ...frozen, lastHeardAtMs: 9_390 }, {}],
  ["five missed heartbeats", "UNHEALTHY", { ...frozen, lastHeardAtMs: 8_490 }, {}],
  ["the same of one that has never reported", "HEALTHY", { ...frozen, beats: 0, lastHeardAtMs: 8_490 }, {}],
  [
    "the same of one that holds nothing",
    "HEALTHY",
    { ...frozen, oldestSentAtMs: undefined, lastHeardAtMs: 0 },
    {},
  ],
  [
    "the same of one whose messages take so long",
    "HEALTHY",
    { ...frozen, latencyP99Ms: 200, lastHeardAtMs: 8_490 },
    {},
  ],
  ["an event loop that is late", "DEGRADED", { beats: 1, lastHeardAtMs: 10_000, eventLoopLagMs: 300 }, {}],
  ["six times its own past", "DEGRADED", { serviceMs: 60, baselineMs: 10 }, {}],
  ["six times its own past, and still nothing", "HEALTHY", { serviceMs: 4, baselineMs: 0.6 }, {}],
  [
    "an outlier among five",
    "DEGRADED",
    { serviceMs: 110, baselineMs: 110 },
    { members: 5, medianServiceMs: 10 },
  ],
  [
    "an outlier among four",
    "HEALTHY",
    { serviceMs: 110, baselineMs: 110 },
    { members: 4, medianServiceMs: 10 },
  ],
  ["silence near the end of its keepalive", "UNHEALTHY", { lastHeardAtMs: 0, silenceLimitMs: 10_500 }, {}],
  [
    "a timeout together with proof of more",
    "UNHEALTHY",
    { timeoutsInARow: 1, ...frozen, lastHeardAtMs: 0 },
    {},
  ],
] as const satisfies readonly [string, HealthState, Partial<MemberSigns>, Partial<PoolSigns>][]) {
  test(`advanced: ${sign} is ${state}`, (t) => {
    const verdict = judged("advanced", { lastHeardAtMs: 9_999, ...said }, pool);
    t.equal(verdict.state, state);
    t.equal(verdict.reason === "", state === "HEALTHY", "whatever is not healthy has a reason");
    t.end();
  });
}

const verdict = (state: HealthState, said: Partial<Verdict> = {}): Verdict => ({
  state,
  reason: state === "HEALTHY" ? "" : `found ${state}`,
  afterMs: 0,
  ...said,
});

/** Judges once every 100 ms, as the broker does, and tells the states. */
function course(
  health: MemberHealth,
  fromMs: number,
  forMs: number,
  one: Verdict,
  mayEject = true,
): HealthState[] {
  const states: HealthState[] = [];
  for (let nowMs = fromMs; nowMs < fromMs + forMs; nowMs += 100) {
    health.judge(one, nowMs, mayEject);
    states.push(health.state);
  }
  return states;
}

test("what needs time is not believed before every check of that time has found it", (t) => {
  const health = new MemberHealth(() => 0.5, 0);
  const slow = verdict("DEGRADED", { afterMs: 5_000 });
  course(health, 0, 4_900, slow);
  course(health, 4_900, 100, verdict("HEALTHY"));
  course(health, 5_000, 5_000, slow);
  t.equal(health.state, "HEALTHY", "one good check begins it anew");
  course(health, 10_000, 100, slow);
  t.equal(health.state, "DEGRADED");
  t.end();
});

test("having been found degraded for long does not make one bad check enough for an ejection", (t) => {
  const health = new MemberHealth(() => 0.5, 0);
  course(health, 0, 4_000, verdict("DEGRADED", { afterMs: 5_000 }));
  const bad = verdict("UNHEALTHY", { statistical: true, afterMs: 150 });
  health.judge(bad, 4_000, true);
  t.not(health.state, "UNHEALTHY");
  health.judge(bad, 4_100, true);
  t.not(health.state, "UNHEALTHY");
  health.judge(bad, 4_200, true);
  t.equal(health.state, "UNHEALTHY");
  t.end();
});

test("a degraded member is healthy again after two seconds without a finding, not sooner", (t) => {
  const health = new MemberHealth(() => 0.5, 0);
  course(health, 0, 100, verdict("DEGRADED"));
  course(health, 100, 1_500, verdict("HEALTHY"));
  course(health, 1_600, 100, verdict("DEGRADED"));
  t.ok(course(health, 1_700, 1_900, verdict("HEALTHY")).every((state) => state === "DEGRADED"));
  course(health, 3_600, 100, verdict("HEALTHY"));
  t.equal(health.state, "HEALTHY");
  t.end();
});

/** How long it lasts until an ejected member is tried again. */
function ejectionMs(health: MemberHealth, fromMs: number): number {
  let nowMs = fromMs;
  while (!health.halfOpen) {
    nowMs += 1;
    health.judge(verdict("HEALTHY"), nowMs, true);
  }
  return nowMs - fromMs;
}

test("each ejection lasts twice as long as the one before, up to a minute, give or take a quarter", (t) => {
  for (const random of [0, 0.5, 0.999]) {
    const health = new MemberHealth(() => random, 0);
    health.judge(verdict("UNHEALTHY"), 0, true);
    let nowMs = 0;
    for (const expectedMs of [1, 2, 4, 8, 16, 32, 60, 60].map((seconds) => seconds * 1_000)) {
      const lastedMs = ejectionMs(health, nowMs);
      t.ok(Math.abs(lastedMs - expectedMs * (0.75 + random / 2)) <= 1, `${lastedMs} of ${expectedMs} ms`);
      nowMs += lastedMs;
      health.failed(nowMs);
      t.equal(health.halfOpen, false, "a failed probe ejects again");
    }
  }
  t.end();
});

test("a probe that succeeds makes a member degraded, then healthy; its ejections are forgiven a minute each", (t) => {
  const health = new MemberHealth(() => 0.5, 0);
  health.judge(verdict("UNHEALTHY"), 0, true);
  let nowMs = ejectionMs(health, 0);
  health.failed(nowMs);
  nowMs += ejectionMs(health, nowMs);
  health.succeeded();
  t.match(health.judge(verdict("HEALTHY"), nowMs, true), { from: "UNHEALTHY", to: "DEGRADED" });
  t.equal(health.halfOpen, false);
  course(health, nowMs, 2_100, verdict("HEALTHY"));
  t.equal(health.state, "HEALTHY");
  course(health, nowMs + 2_100, 61_000, verdict("HEALTHY"));
  nowMs += 63_100;
  health.judge(verdict("UNHEALTHY"), nowMs, true);
  t.ok(Math.abs(ejectionMs(health, nowMs) - 2_000) <= 1, "one of two is forgotten: two seconds, not four");
  t.end();
});

test("only the probe decides about who is half-open: statistics of before do not eject again", (t) => {
  const health = new MemberHealth(() => 0.5, 0);
  const bad = verdict("UNHEALTHY", { statistical: true });
  health.judge(bad, 0, true);
  course(health, 100, 10_000, bad);
  t.equal(health.halfOpen, true);
  health.succeeded();
  health.judge(bad, 10_200, true);
  t.equal(health.state, "DEGRADED");
  t.end();
});

/** Members of a pool with whatever a checker is to say of them. */
function patients(count: number, serviceMs: (at: number) => number = () => 1) {
  const all = Array.from(
    { length: count },
    (_, at): Patient => ({
      ...signsOf({ clientId: `m${at}`, serviceMs: serviceMs(at) }),
      resting: false,
      health: new MemberHealth(seededRandom(at), 0),
    }),
  );
  const verdicts = new Map<string, Verdict>();
  const checker: HealthChecker = {
    name: "advanced",
    check: ({ clientId }) => verdicts.get(clientId) ?? verdict("HEALTHY"),
  };
  const panics: boolean[] = [];
  const failures: string[] = [];
  const pool = new PoolHealth(checker, {
    onChange: () => {},
    onPanic: (panic) => void panics.push(panic),
    onCheckerFailed: (reason) => void failures.push(reason),
  });
  const say = (at: number, one: Verdict) => void verdicts.set(`m${at}`, one);
  const ejected = () => all.filter(({ health }) => health.state === "UNHEALTHY").length;
  return { all, pool, say, ejected, panics, failures };
}

test("statistics never eject more than a third of a pool, whatever they find", (t) => {
  const state = fc.constantFrom<HealthState>("HEALTHY", "DEGRADED", "UNHEALTHY");
  const round = fc.array(state, { minLength: 12, maxLength: 12 });
  const property = fc.property(
    fc.integer({ min: 1, max: 12 }),
    fc.array(round, { maxLength: 60 }),
    (count, rounds) => {
      const { all, pool, say, ejected } = patients(count);
      for (const [at, states] of rounds.entries()) {
        for (const [member, one] of states.entries())
          say(member, verdict(one, { statistical: true, afterMs: 150 }));
        pool.check(all, 30_000, at * 100);
        if (ejected() > count / 3) return false;
      }
      return true;
    },
  );
  fc.assert(property, { numRuns: 300 });
  t.pass("300 pools");
  t.end();
});

test("proof ejects as many as it finds, and counts into the third that statistics may", (t) => {
  const { all, pool, say, ejected } = patients(6);
  for (const at of [0, 1]) say(at, verdict("UNHEALTHY"));
  say(2, verdict("UNHEALTHY", { statistical: true }));
  pool.check(all, 30_000, 0);
  t.equal(ejected(), 2);
  t.equal(all[2]?.health.state, "DEGRADED", "who may not be ejected is at least avoided");
  t.end();
});

test("health is ignored when less than half of the capacity is left, and believed again from three fifths", (t) => {
  const { all, pool, say, panics } = patients(10);
  const out = (count: number, nowMs: number): boolean => {
    for (let at = 0; at < 10; at++) say(at, verdict(at < count ? "UNHEALTHY" : "HEALTHY"));
    for (const { health } of all.slice(count)) health.succeeded();
    for (let passedMs = 0; passedMs < 100_000; passedMs += 100) {
      for (const { health } of all.slice(count)) health.succeeded();
      pool.check(all, 30_000, nowMs + passedMs);
    }
    return pool.panic;
  };
  t.equal(out(5, 0), false);
  t.equal(out(6, 200_000), true);
  t.equal(out(5, 400_000), true, "half is not enough to calm down");
  t.equal(out(4, 600_000), false);
  t.same(panics, [true, false], "each change is told once");
  t.end();
});

test("capacity is speed, not the number of members", (t) => {
  const { all, pool, say } = patients(4, (at) => (at === 0 ? 1 : 20));
  say(0, verdict("UNHEALTHY"));
  pool.check(all, 30_000, 0);
  t.equal(pool.panic, true);
  t.end();
});

test("who rests is no capacity: the last member that works is not given up while others drain", (t) => {
  const { all, pool, say } = patients(4);
  const resting = all.map((one, at) => Object.assign(one, { resting: at > 0 }));
  say(0, verdict("UNHEALTHY"));
  pool.check(resting, 30_000, 0);
  t.equal(pool.panic, true);
  t.end();
});

test("a checker that throws is told once, and believed again when it works", (t) => {
  const { all, pool, failures } = patients(2);
  const sound = pool.checker;
  pool.checker = {
    name: "basic",
    check: () => {
      throw new Error("broken");
    },
  };
  for (const nowMs of [0, 100]) pool.check(all, 30_000, nowMs);
  t.equal(pool.checkerFailed, true);
  t.same(failures, ["broken"]);
  pool.checker = sound;
  pool.check(all, 30_000, 200);
  t.equal(pool.checkerFailed, false);
  t.end();
});
