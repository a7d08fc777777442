import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { MemberHeartbeat } from "@equipoise/shared";
import { test } from "tap";
import type { Measures } from "./measures.ts";
import { Connection } from "./member/connection.ts";
import { type HeartbeatFaults, Heartbeats, soundHeartbeats } from "./member/heartbeats.ts";
import { type MemberOptions, SyntheticMember } from "./member/synthetic-member.ts";
import { run } from "./run.ts";
import { members, type Scenario, scenario } from "./scenario/scenario.ts";
import { scenarios } from "./scenario/scenarios.ts";
import { type SystemChoice, systems } from "./system/systems.ts";
import { judge } from "./verdict.ts";
import { Ledger } from "./world/ledger.ts";
import type { Message } from "./world/message.ts";
import { Random } from "./world/random.ts";
import { Timeline } from "./world/timeline.ts";
import { World } from "./world/world.ts";

const systemOf = (name: string): SystemChoice =>
  systems.find((system) => system.name === name) as SystemChoice;
const scenarioOf = (name: string): Scenario => scenarios.find((known) => known.name === name) as Scenario;
const root = fileURLToPath(new URL("../..", import.meta.url));

/** Mean of independent runs, and its standard error. */
function meanOf(values: readonly number[]): { mean: number; error: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, error: Math.sqrt(squares / (values.length - 1) / values.length) };
}

/** Mean time in an M/M/c system, in units of the service time. */
function timeInSystem(servers: number, load: number): number {
  const offered = servers * load;
  let term = 1;
  let sum = 1;
  for (let busy = 1; busy < servers; busy++) {
    term *= offered / busy;
    sum += term;
  }
  const last = ((term * offered) / servers) * (1 / (1 - load));
  const waits = last / (sum + last);
  return 1 + waits / (servers * (1 - load));
}

for (const [title, system, spec] of [
  ["one member is an M/M/1 queue", "random", members({})],
  [
    "one member that works on three messages at once is an M/M/3 queue",
    "random",
    members({ concurrency: 3 }),
  ],
  ["a central queue before four equal members is an M/M/4 queue", "clairvoyant", members({}, {}, {}, {})],
] as const) {
  test(`${title}, in its mean time`, (t) => {
    const load = 0.7;
    const queue = scenario("theory", title, { load, members: spec, roundTripMs: 0, seconds: 25 });
    const seeds = Array.from({ length: 8 }, (_, index) => index + 1);
    const { mean, error } = meanOf(seeds.map((seed) => run(queue, systemOf(system), seed).meanMs));
    const expected = timeInSystem(
      spec.reduce((sum, { concurrency }) => sum + concurrency, 0),
      load,
    );
    t.ok(Math.abs(mean - expected) < 3 * error, `${mean} ± ${error}, in theory ${expected}`);
    t.ok(error < 0.03 * expected, "the runs tell enough");
    t.end();
  });
}

test("arrivals and demands have the means that they are meant to have", (t) => {
  const random = new Random(1, "means");
  const draw = (one: () => number) => meanOf(Array.from({ length: 200_000 }, one));
  for (const [name, one, expected] of [
    ["uniform", () => random.uniform(), 0.5],
    ["exponential", () => random.exponential(3), 3],
    ["lognormal", () => random.lognormal(3, 2), 3],
  ] as const) {
    const { mean, error } = draw(one);
    t.ok(Math.abs(mean - expected) < 4 * error, `${name}: ${mean} ± ${error}`);
  }
  const bursty = new World({ ...scenarioOf("bursty"), seconds: 60 }, 1, systemOf("random").make);
  bursty.run();
  const perSecond = (bursty.ledger.intendedMs.length * 1_000) / bursty.endMs;
  t.ok(Math.abs(perSecond / 2_400 - 1) < 0.05, `bursty: ${perSecond} per second`);
  t.end();
});

const short = (name: string, seconds = 6): Scenario => ({ ...scenarioOf(name), seconds });

test("the same seed gives the same result, another one does not", (t) => {
  for (const system of systems) {
    const once = run(short("neighbour"), system, 7);
    t.same(run(short("neighbour"), system, 7), once, system.name);
    t.notSame(run(short("neighbour"), system, 8), once, system.name);
  }
  t.end();
});

test("every system is given the same messages", (t) => {
  const sent = systems.map(({ make }) => {
    const world = new World(short("crash", 10), 3, make);
    world.run();
    return world.ledger.intendedMs;
  });
  for (const intendedMs of sent) t.same(intendedMs, sent[0]);
  t.end();
});

test("no message is lost, whoever freezes, crashes, restarts or rejects", (t) => {
  for (const name of ["crash", "rolling-restart", "unhealthy", "freeze", "early-ack", "fail-fast"]) {
    for (const system of systems) {
      const world = new World(short(name, 18), 2, system.make);
      world.run();
      const { completedMs, intendedMs, givenUp, outstanding } = world.ledger;
      const completed = completedMs.filter((timeMs, id) => timeMs > (intendedMs[id] as number)).length;
      t.equal(completed + givenUp, completedMs.length, `${name}: ${system.name}`);
      t.equal(outstanding, 0, `${name}: ${system.name}`);
    }
  }
  t.end();
});

test("foresight is never worse in the mean than chance", (t) => {
  for (const known of scenarios) {
    const mean = (name: string) => run({ ...known, seconds: 5 }, systemOf(name), 4).meanMs;
    const [foresight, chance] = [mean("clairvoyant"), mean("random")];
    t.ok(foresight <= chance, `${known.name}: ${foresight} against ${chance}`);
  }
  t.end();
});

test("true weights share the work out as the rates are", (t) => {
  const { shares } = run(short("unequal-0.6"), systemOf("weighted"), 1);
  for (const [index, share] of [4 / 7, 2 / 7, 1 / 7].entries()) {
    t.ok(Math.abs((shares[index] as number) - share) < 0.01, `${shares[index]} of ${share}`);
  }
  t.end();
});

const message = (id: number, demandMs: number, luck = 0.5): Message => ({
  id,
  intendedMs: 0,
  demandMs,
  luck,
  outMs: 1,
  backMs: 2,
});

function alone(options: Partial<MemberOptions> = {}) {
  const timeline = new Timeline();
  const ledger = new Ledger(10);
  const sound = { rate: 1, concurrency: 1, rejects: 0, acknowledgesEarly: false };
  const member = new SyntheticMember("alone", { ...sound, ...options }, { timeline, ledger });
  const heard: [atMs: number, id: number, answer: string][] = [];
  const connection = new Connection(member, timeline);
  const send = (one: Message) =>
    connection.send(one, (answer) => heard.push([timeline.nowMs, one.id, answer]));
  return { timeline, ledger, member, connection, send, heard };
}

test("a change of speed counts for what is being worked on, and a frozen member does nothing", (t) => {
  const { timeline, ledger, member, send } = alone();
  send(message(0, 10));
  timeline.after(5, () => member.slow(2));
  timeline.after(9, () => member.slow(Number.POSITIVE_INFINITY));
  timeline.after(109, () => member.slow(1));
  timeline.run(1_000, () => false);
  // 4 ms at full speed after 1 ms of network, 2 of its work in 4 ms, nothing for 100 ms, then the other 4.
  t.equal(ledger.completedMs[0], 113);
  t.end();
});

test("answers come when the work is done, at once when rejected, and beforehand when it acknowledges early", (t) => {
  const sound = alone({ rejects: 0.1 });
  sound.send(message(0, 10));
  sound.send(message(1, 10, 0.05));
  sound.timeline.run(1_000, () => false);
  t.same(sound.heard, [
    [13, 0, "acknowledged"],
    [13.05, 1, "rejected"],
  ]);
  const early = alone({ acknowledgesEarly: true });
  early.send(message(0, 10));
  early.timeline.run(1_000, () => false);
  t.same(early.heard, [[3, 0, "acknowledged"]]);
  t.equal(early.ledger.completedMs[0], 11);
  t.end();
});

test("nothing comes out of a connection that has ended", (t) => {
  const { timeline, ledger, member, connection, send, heard } = alone();
  send(message(0, 10));
  send(message(1, 10));
  timeline.after(12, () => {
    connection.close();
    member.reset();
  });
  timeline.run(1_000, () => false);
  t.same(heard, []);
  t.equal(ledger.completedMs[0], 11, "what was done is done");
  t.ok(Number.isNaN(ledger.completedMs[1]));
  t.end();
});

test("heartbeats are true, or lost, late and lies as the scenario says", (t) => {
  const hear = (faults: Partial<HeartbeatFaults>, untilMs: number): MemberHeartbeat[] => {
    const { timeline, member, send } = alone();
    const heard: MemberHeartbeat[] = [];
    const arrived = (heartbeat: MemberHeartbeat) => void heard.push(heartbeat);
    const random = new Random(1, "heartbeats");
    for (let id = 0; id < 5; id++) send(message(id, 400));
    new Heartbeats(member, { ...soundHeartbeats, ...faults }, { timeline, random, arrived }).start();
    timeline.run(untilMs, () => false);
    return heard;
  };
  t.match(hear({}, 301), [{ state: "up", queueDepth: 5 }]);
  t.match(hear({}, 3_000).at(-1), { queueDepth: 0, serviceTimeMs: 400 });
  t.same(hear({ lost: 1 }, 3_000), []);
  t.same(hear({ lateMs: 500 }, 699), []);
  t.match(hear({ lateMs: 500 }, 801)[0], { queueDepth: 5 });
  t.match(hear({ lies: "idle" }, 301), [{ queueDepth: 0 }]);
  t.match(hear({ lies: "busy" }, 301), [{ queueDepth: 1_000 }]);
  t.end();
});

test("a strategy is judged seed by seed, and not against one that gives messages up", (t) => {
  const result = run(short("equal-0.3"), systemOf("random"), 1);
  const runs = (factor: number, givenUp = 0): Measures[] =>
    [1, 2, 3].map((seed) => ({
      ...result,
      meanMs: seed * factor,
      p99Ms: seed * factor,
      messages: 1_000,
      givenUp,
    }));
  const judged = (own: Measures[], other: Measures[]) =>
    judge(
      "equal-0.8",
      new Map([
        ["pool/x", own],
        ["weighted", other],
      ]),
    ).map(({ result }) => result);
  t.same(judged(runs(0.5), runs(1)), ["aim", "aim"]);
  t.same(judged(runs(0.6), runs(1)), ["must", "must"]);
  t.same(judged(runs(0.8), runs(1)), ["MISSED", "MISSED"]);
  t.same(judged(runs(0.5, 10), runs(1)), ["MISSED", "MISSED"]);
  t.same(judged(runs(0.8), runs(1, 10)), ["not compared", "not compared"]);
  t.end();
});

test("the command line runs what it is asked for and refuses what it does not know", (t) => {
  const sim = (...args: string[]) =>
    spawnSync(process.execPath, ["test/sim/sim.ts", ...args], { cwd: root, encoding: "utf8" });
  const done = sim(
    "--only",
    "unequal-0.3",
    "--systems",
    "pool/least_connections,least-in-flight",
    "--seeds",
    "1",
  );
  t.equal(done.status, 0, done.stderr);
  t.match(done.stdout, /pool\/least_connections against least-in-flight: mean × \d/);
  const refused = sim("--only", "nothing");
  t.equal(refused.status, 2);
  t.match(refused.stderr, /sim: there is no scenario nothing/);
  t.end();
});

test("docs/simulator.md names every scenario and every system", (t) => {
  const page = readFileSync(new URL("../../docs/simulator.md", import.meta.url), "utf8");
  for (const { name } of [...scenarios, ...systems]) t.ok(page.includes(`\`${name}\``), name);
  t.end();
});
