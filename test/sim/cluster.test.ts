/** Members of 1, 1, 1 and 10 ms over three brokers of a cluster, against the same at one. */
import { type Test, test } from "tap";
import { maxEntryMessages } from "../../broker/src/cluster/entry.ts";
import { type ClusterRules, ClusterSystem } from "./cluster-system.ts";
import type { Measures } from "./measures.ts";
import { run } from "./run.ts";
import { members, scenario } from "./scenario/scenario.ts";

const unequal = members({}, {}, {}, { rate: 1 / 10 });
const capacityPerSecond = 3_100;
/** The slow one is with a fast one; a broker has as many publishers as the next. */
const spread: ClusterRules = {
  strategy: "performance_based",
  spread: [0, 1, 2, 2],
  publishers: [0, 1, 2],
  oneWayMs: 0.2,
  atOnce: true,
};
const together = { ...spread, spread: [0, 0, 0, 0], publishers: [0] };
const places = [
  ["with publishers at all of them", spread],
  ["with the publisher at one with a fast member", { ...spread, publishers: [0] }],
  ["with the publisher at the one with the slow member", { ...spread, publishers: [2] }],
] as const;

function measured(rules: ClusterRules, load: number): Measures & { worst: ClusterSystem["worst"] } {
  const offered = scenario("cluster", "", { load, members: unequal, seconds: 12 });
  let system: ClusterSystem | undefined;
  const measures = run(
    offered,
    {
      name: "cluster",
      make: (surroundings) => {
        system = new ClusterSystem(rules, surroundings);
        return system;
      },
    },
    1,
  );
  return { ...measures, worst: (system as ClusterSystem).worst };
}

function tell(t: Test, name: string, { p50Ms, p99Ms, goodputPerSecond, worst }: ReturnType<typeof measured>) {
  const share = goodputPerSecond / capacityPerSecond;
  const figures = `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, ${share.toFixed(3)} of the capacity`;
  t.comment(`${name}: ${figures}; ${worst.messages} messages waited for ${worst.ms} ms beside idle members`);
}

test("at a load of 0.8 it costs little that brokers share without talking to each other", (t) => {
  const one = measured(together, 0.8);
  tell(t, "one broker on the engine", one);
  for (const [name, rules] of places) {
    const three = measured(rules, 0.8);
    tell(t, `three, ${name}`, three);
    t.ok(three.p50Ms < 1.3 * one.p50Ms && three.p99Ms < 1.5 * one.p99Ms, name);
    t.ok(three.worst.messages < maxEntryMessages, "what waits beside idle members is less than an entry");
    t.ok(three.worst.ms < 10, "and not for long");
  }
  t.end();
});

test("what is taken at once makes nobody wait longer", (t) => {
  for (const [name, rules] of places) {
    for (const load of [0.3, 0.8]) {
      const asked = measured({ ...rules, atOnce: false }, load);
      const taken = measured(rules, load);
      t.ok(taken.p50Ms < 1.1 * asked.p50Ms && taken.p99Ms < 1.1 * asked.p99Ms, `${name}, load ${load}`);
    }
  }
  t.end();
});

test("with more to do than they can, they do at least 0.95 of what they could", (t) => {
  for (const [name, rules] of places) {
    const most = measured(rules, 1.3);
    tell(t, `three, ${name}`, most);
    t.ok(most.goodputPerSecond > 0.95 * capacityPerSecond, name);
    t.ok(most.worst.messages < maxEntryMessages, "what waits beside idle members is less than an entry");
  }
  t.end();
});
