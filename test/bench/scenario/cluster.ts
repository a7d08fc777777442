/** Two brokers on one Redis, a pool whose members and publishers are spread over both. */
import type { Flood, Paced } from "../load/load.ts";
import { runLoad } from "../load/run-load.ts";
import { memberFilter, pooledTopics } from "../subject/equipoise.ts";
import { onSubject } from "../subject/start.ts";
import type { Subject, SubjectName } from "../subject/subject.ts";
import { type Figures, type MeasureOptions, requireAll, type Scenario } from "./scenario.ts";

const members = { subscribers: 4, topics: pooledTopics, filter: memberFilter };
const times = { warmUpMs: 1_000, durationMs: 2_000 };

async function throughput(
  { port, pid, others = [] }: Subject,
  { publishers = 2, window = 1_000, warmUpMs = times.warmUpMs } = {},
): Promise<Figures> {
  const load: Flood = {
    ...{ kind: "flood", port, pid, others, ...members, ...times },
    ...{ publishers, window, warmUpMs, until: "puback", qos: 1, copies: 1 },
  };
  const result = await runLoad(load);
  requireAll(result);
  const { measured, elapsedMs, brokerCpuUs, othersCpuUs, generatorCpuUs } = result;
  const engineCpuUs = othersCpuUs.at(-1) ?? 0;
  const brokersCpuUs = othersCpuUs.reduce((sum, us) => sum + us, brokerCpuUs) - engineCpuUs;
  return {
    perSecond: (measured / elapsedMs) * 1_000,
    cpuUsPerMessage: brokersCpuUs / measured,
    engineCpuUsPerMessage: engineCpuUs / measured,
    generatorCores: generatorCpuUs / 1_000 / elapsedMs,
  };
}

async function latency({ port, pid, others = [] }: Subject): Promise<Figures> {
  const load: Paced = {
    ...{ kind: "paced", port, pid, others, ...members, ...times },
    ...{ publishers: 20, rate: 50, idle: 0 },
  };
  const result = await runLoad(load);
  requireAll(result);
  const { latencyUs = { p50: 0, p99: 0 } } = result;
  return { p50Ms: latencyUs.p50 / 1_000, p99Ms: latencyUs.p99 / 1_000 };
}

/** Many streams, because each is a key. */
async function manyStreams(name: SubjectName, options: MeasureOptions): Promise<Figures> {
  return await onSubject(name, options, async (subject) => {
    return await throughput(subject, { publishers: 32, window: 64, warmUpMs: 3_000 });
  });
}

async function measure(name: SubjectName, options: MeasureOptions): Promise<Figures> {
  return await onSubject(name, options, async (subject) => {
    return { ...(await latency(subject)), ...(await throughput(subject)) };
  });
}

const p50 = { figure: "p50Ms", unit: "ms", better: "less" } as const;
const perSecond = { figure: "perSecond", unit: "msg/s", better: "more" } as const;
const us = { unit: "µs", better: "less" } as const;
const subject = "cluster";

export const cluster: Scenario = {
  name: "cluster",
  text: "2 brokers and Redis, 2 publishers, window 1,000, QoS 1, to a pool of 4; and 20 publishers at 50 msg/s each",
  subjects: ["cluster", "mosquitto", "disk"],
  rounds: 3,
  rows: [
    {
      ...{ name: "cluster-ratio", text: "pool over 2 brokers, against mosquitto", subject },
      ...{ ...perSecond, unit: "×", ratio: true, must: 0.5, aim: 1.5 },
    },
    {
      ...{ name: "cluster-cpu", text: "CPU per message, both brokers", subject },
      ...{ figure: "cpuUsPerMessage", ...us, must: 15, aim: 8 },
    },
    {
      ...{ name: "cluster-engine-cpu", text: "CPU per message, Redis", subject },
      ...{ figure: "engineCpuUsPerMessage", ...us, must: 5, aim: 2 },
    },
    { name: "cluster-p50", text: "median at 1,000 msg/s, over 2 brokers", subject, ...p50 },
    { name: "cluster-disk-p50", text: "median at 1,000 msg/s, one on disk", subject: "disk", ...p50 },
    { name: "cluster", text: "pool over 2 brokers", subject, ...perSecond },
  ],
  measure,
};

const ordered = "cluster_ordered";

export const clusterOrdered: Scenario = {
  name: "cluster-ordered",
  text: "2 brokers and Redis, 32 publishers, window 64, QoS 1, to a pool of 4, with ordering: key and without",
  subjects: ["cluster", ordered],
  rounds: 3,
  rows: [
    { name: "cluster-ordered", text: "ordered pool over 2 brokers", subject: ordered, ...perSecond },
    { name: "cluster-unordered", text: "the same without order", subject, ...perSecond },
    {
      ...{ name: "cluster-ordered-cpu", text: "CPU per message, both brokers, ordered", subject: ordered },
      ...{ figure: "cpuUsPerMessage", ...us },
    },
    {
      ...{ name: "cluster-ordered-engine-cpu", text: "CPU per message, Redis, ordered", subject: ordered },
      ...{ figure: "engineCpuUsPerMessage", ...us },
    },
  ],
  measure: manyStreams,
};
