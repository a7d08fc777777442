/** How well work is shared among members of unequal speed, each a real process. */
import { setTimeout as sleep } from "node:timers/promises";
import { distributionEfficiency, jainIndex, quantile, sumOf } from "../balance/completions.ts";
import { monotonicUs } from "../balance/monotonic.ts";
import { type Offer, type Run, Stage } from "../balance/stage.ts";
import { startSubject } from "../subject/start.ts";
import type { SubjectName } from "../subject/subject.ts";
import type { Figures, MeasureOptions, Row, Scenario } from "./scenario.ts";

export const unequalMs = [1, 1, 1, 10];
const equalMs = [1, 1, 1, 1];
const warmUpMs = 1_000;
const measureMs = 4_000;
export const offer = { durationMs: warmUpMs + measureMs, seed: 1 };
export const overload = 1.3;
const equalLoad = 0.8;

async function onStage(
  name: SubjectName,
  servicesMs: readonly number[],
  options: MeasureOptions,
  measure: (stage: Stage) => Promise<Figures>,
): Promise<Figures> {
  // With its bounds lifted mosquitto keeps for the slow member what that cannot do, and a run lasts until it is done.
  const stage = new Stage(await startSubject(name, { ...options, bounds: "defaults" }), servicesMs);
  try {
    await stage.start();
    return await measure(stage);
  } finally {
    await stage.stop();
  }
}

/** Runs an offer. @throws Error when Equipoise has lost a message */
export async function runOffer(
  stage: Stage,
  name: SubjectName,
  wanted: Offer,
): Promise<{ run: Run; figures: Figures }> {
  const run = await stage.run(wanted);
  const { completions, count, lateP99Us } = run;
  const lost = count - completions.count;
  if (lost > 0 && name !== "mosquitto") throw new Error(`${lost} of ${count} messages are missing`);
  const figures = {
    sent: count,
    lost,
    repeated: completions.repeated,
    publisherLateP99Ms: lateP99Us / 1_000,
  };
  return { run, figures };
}

const warmUs = ({ fromUs }: Run): number => fromUs + warmUpMs * 1_000;

/** Messages are judged that were to be sent after the warm-up; those that were lost have no latency. */
export function latencies(run: Run): Figures {
  const judged = run.completions.all.filter(({ intendedUs }) => intendedUs >= warmUs(run));
  const latenciesMs = judged.map(({ intendedUs, completedUs }) => (completedUs - intendedUs) / 1_000);
  return { p50Ms: quantile(latenciesMs, 0.5), p99Ms: quantile(latenciesMs, 0.99) };
}

/** Completions a second from the warm-up's end until the offer's. */
export function completedPerSecond(run: Run): number {
  const inTime = run.completions.all.filter(
    ({ completedUs }) => completedUs >= warmUs(run) && completedUs < run.untilUs,
  );
  return (inTime.length * 1_000) / measureMs;
}

const measure2000: Scenario["measure"] = (name, options) =>
  onStage(name, unequalMs, options, async (stage) => {
    await stage.join();
    const { run, figures } = await runOffer(stage, name, { ...offer, rate: 2_000 });
    return { ...latencies(run), ...figures };
  });

const measure2800: Scenario["measure"] = (name, options) =>
  onStage(name, unequalMs, options, async (stage) => {
    const capacities = await stage.capacities();
    await stage.join();
    const { run, figures } = await runOffer(stage, name, { ...offer, rate: 2_800 });
    const counts = run.completions.counts(warmUs(run), unequalMs.length);
    const efficiency = distributionEfficiency(counts, capacities);
    return { ...latencies(run), efficiency, capacity: sumOf(capacities), ...figures };
  });

const measureSaturation: Scenario["measure"] = (name, options) =>
  onStage(name, unequalMs, options, async (stage) => {
    const capacity = sumOf(await stage.capacities());
    await stage.join();
    const { run, figures } = await runOffer(stage, name, { ...offer, rate: overload * capacity });
    const perSecond = completedPerSecond(run);
    return { ofCapacity: perSecond / capacity, perSecond, capacity, ...figures };
  });

const measureEqual: Scenario["measure"] = (name, options) =>
  onStage(name, equalMs, options, async (stage) => {
    const capacity = sumOf(await stage.capacities());
    await stage.join();
    const { run, figures } = await runOffer(stage, name, { ...offer, rate: equalLoad * capacity });
    const jain = jainIndex(run.completions.counts(warmUs(run), equalMs.length));
    return { jain, ...latencies(run), capacity, ...figures };
  });

const freezeRate = 1_500;
const frozenMs = 3_000;

const measureFreeze: Scenario["measure"] = (name, options) =>
  onStage(name, equalMs, options, async (stage) => {
    await stage.join();
    const wanted = { rate: freezeRate, durationMs: 2 * warmUpMs + frozenMs, seed: 1 };
    const [{ run, figures }, frozenAtUs] = await Promise.all([
      runOffer(stage, name, wanted),
      freezeFirst(stage),
    ]);
    return { longestMs: longestSince(frozenAtUs, run) / 1_000, ...figures };
  });

/** Freezes a member for a while, after the warm-up; returns since when it was. */
async function freezeFirst(stage: Stage): Promise<number> {
  await sleep(warmUpMs);
  const frozenAtUs = monotonicUs();
  stage.member(0).freeze();
  await sleep(frozenMs);
  stage.member(0).thaw();
  return frozenAtUs;
}

/** The longest that a message had to wait for its completion since a time, in microseconds. */
function longestSince(timeUs: number, { completions }: Run): number {
  const waits = completions.all.map(
    ({ intendedUs, completedUs }) => completedUs - Math.max(intendedUs, timeUs),
  );
  return quantile(waits, 1);
}

const p99 = { figure: "p99Ms", unit: "ms", better: "less" } as const;
const efficiency = { figure: "efficiency", unit: "", better: "more" } as const;
const capacity = { figure: "capacity", unit: "msg/s", better: "more" } as const;
const ofCapacity = { figure: "ofCapacity", unit: "×", better: "more" } as const;

/** Of the rows that both rates have. */
function latencyRows(rate: number, bounds: { must: number; aim: number }): Row[] {
  const name = `balance-${rate}`;
  const text = `${rate.toLocaleString("en")} msg/s, completion p99`;
  const lost = { figure: "lost", unit: "messages", better: "less" } as const;
  return [
    { name: `${name}-p99`, text, subject: "memory", ...p99, ...bounds },
    { name: `${name}-round-robin-p99`, text: `${text}, round_robin`, subject: "round_robin", ...p99 },
    { name: `${name}-mosquitto-p99`, text: `${text}, mosquitto`, subject: "mosquitto", ...p99 },
    { name: `${name}-mosquitto-lost`, text: "of these, lost, mosquitto", subject: "mosquitto", ...lost },
  ];
}

const shares = "2,800 msg/s, distribution efficiency";
const efficiencyRows: readonly Row[] = [
  { name: "balance-efficiency", text: shares, subject: "memory", ...efficiency, must: 0.9, aim: 0.95 },
  {
    name: "balance-round-robin-efficiency",
    text: `${shares}, round_robin`,
    subject: "round_robin",
    ...efficiency,
  },
  {
    name: "balance-mosquitto-efficiency",
    text: `${shares}, mosquitto`,
    subject: "mosquitto",
    ...efficiency,
  },
  { name: "balance-capacity", text: "sum of the members' capacities", subject: "memory", ...capacity },
];

const unequal = { subjects: ["memory", "round_robin", "mosquitto"], rounds: 1 } as const;

export const balance2000: Scenario = {
  ...unequal,
  name: "balance-2000",
  text: "2,000 msg/s to 3 members of 1 ms and one of 10 ms, each a process",
  rows: latencyRows(2_000, { must: 15, aim: 6 }),
  measure: measure2000,
};

export const balance2800: Scenario = {
  ...unequal,
  name: "balance-2800",
  text: "2,800 msg/s to 3 members of 1 ms and one of 10 ms, each a process",
  rows: [...latencyRows(2_800, { must: 40, aim: 15 }), ...efficiencyRows],
  measure: measure2800,
};

export const saturation: Scenario = {
  name: "balance-saturation",
  text: "1.3 times their capacity to 3 members of 1 ms and one of 10 ms",
  subjects: ["memory"],
  rounds: 3,
  rows: [
    {
      name: "balance-saturation",
      text: "1.3 × capacity offered, completed of the capacity",
      subject: "memory",
      ...ofCapacity,
      must: 0.95,
      aim: 0.99,
    },
  ],
  measure: measureSaturation,
};

export const equal: Scenario = {
  name: "balance-equal",
  text: "0.8 of their capacity to 4 members of 1 ms",
  subjects: ["memory"],
  rounds: 1,
  rows: [
    {
      name: "balance-jain",
      text: "4 equal members, Jain index",
      subject: "memory",
      figure: "jain",
      unit: "",
      better: "more",
      must: 0.98,
      aim: 0.995,
    },
    { name: "balance-equal-p99", text: "4 equal members, completion p99", subject: "memory", ...p99 },
  ],
  measure: measureEqual,
};

export const freeze: Scenario = {
  name: "balance-freeze",
  text: "1,500 msg/s to 4 members of 1 ms, one of them frozen for 3 s",
  subjects: ["memory"],
  rounds: 1,
  rows: [
    {
      name: "balance-freeze",
      text: "a member freezes: until what it held is completed",
      subject: "memory",
      figure: "longestMs",
      unit: "ms",
      better: "less",
      must: 1_000,
    },
  ],
  measure: measureFreeze,
};
