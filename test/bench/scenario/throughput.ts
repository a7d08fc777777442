/** Messages a second, and what one costs, under publishers that send as fast as they are let. */
import type { Flood } from "../load/load.ts";
import { runLoad } from "../load/run-load.ts";
import { memberFilter, pooledTopics } from "../subject/equipoise.ts";
import { onSubject } from "../subject/start.ts";
import type { SubjectName } from "../subject/subject.ts";
import { type Figures, type MeasureOptions, requireAll, type Scenario } from "./scenario.ts";

type Shape = Pick<
  Flood,
  "publishers" | "window" | "until" | "qos" | "subscribers" | "topics" | "filter" | "copies"
>;

const times = { warmUpMs: 750, durationMs: 2_000 };

async function measure(shape: Shape, name: SubjectName, options: MeasureOptions): Promise<Figures> {
  return await onSubject(name, options, async (subject) => {
    const { port, pid } = subject;
    const result = await runLoad({ kind: "flood", port, pid, ...shape, ...times });
    requireAll(result);
    const { measured, elapsedMs, brokerCpuUs, generatorCpuUs } = result;
    return {
      perSecond: (measured / elapsedMs) * 1_000,
      cpuUsPerMessage: brokerCpuUs / measured,
      brokerCores: brokerCpuUs / 1_000 / elapsedMs,
      generatorCores: generatorCpuUs / 1_000 / elapsedMs,
    };
  });
}

const toPool: Shape = {
  publishers: 2,
  window: 200,
  until: "puback",
  qos: 1,
  subscribers: 4,
  topics: pooledTopics,
  filter: memberFilter,
  copies: 1,
};

/** Outside the declared pool, whose backlog would fill. */
const plainTopics = { topics: "bench/plain", filter: "bench/plain/#" };

const toFifty: Shape = {
  publishers: 1,
  window: 200,
  until: "arrival",
  qos: 0,
  subscribers: 50,
  ...plainTopics,
  copies: 50,
};

const perSecond = { figure: "perSecond", unit: "msg/s", better: "more" } as const;
const cpu = { figure: "cpuUsPerMessage", unit: "µs", better: "less" } as const;
const ratio = { figure: "perSecond", ratio: true, unit: "×", better: "more" } as const;

export const pool: Scenario = {
  name: "pool",
  text: "2 publishers, window 200, QoS 1, to a pool of 4",
  subjects: ["memory", "mosquitto", "disk"],
  rounds: 3,
  rows: [
    {
      name: "pool-memory-ratio",
      text: "pool, memory, against mosquitto",
      subject: "memory",
      ...ratio,
      must: 4,
      aim: 6,
    },
    {
      name: "pool-disk-ratio",
      text: "pool, disk, against mosquitto",
      subject: "disk",
      ...ratio,
      must: 1.5,
      aim: 3,
    },
    {
      name: "pool-memory-cpu",
      text: "broker CPU per message, memory",
      subject: "memory",
      ...cpu,
      must: 4,
      aim: 2,
    },
    { name: "pool-disk-cpu", text: "broker CPU per message, disk", subject: "disk", ...cpu, must: 7, aim: 4 },
    { name: "pool-mosquitto-cpu", text: "broker CPU per message, mosquitto", subject: "mosquitto", ...cpu },
    { name: "pool-memory", text: "pool, memory", subject: "memory", ...perSecond },
    { name: "pool-disk", text: "pool, disk", subject: "disk", ...perSecond },
    { name: "pool-mosquitto", text: "pool, mosquitto `$share`", subject: "mosquitto", ...perSecond },
  ],
  measure: (subject, options) => measure(toPool, subject, options),
};

export const plain: Scenario = {
  name: "plain",
  text: "1 publisher, window 200, QoS 1, to 1 plain subscriber",
  subjects: ["memory", "mosquitto"],
  rounds: 3,
  rows: [
    {
      name: "plain-ratio",
      text: "plain 1 → 1, against mosquitto",
      subject: "memory",
      ...ratio,
      must: 0.8,
      aim: 2,
    },
    { name: "plain-memory", text: "plain 1 → 1, memory", subject: "memory", ...perSecond },
    { name: "plain-mosquitto", text: "plain 1 → 1, mosquitto", subject: "mosquitto", ...perSecond },
  ],
  measure: (subject, options) =>
    measure({ ...toPool, publishers: 1, subscribers: 1, ...plainTopics }, subject, options),
};

export const fanOut: Scenario = {
  name: "fan-out",
  text: "1 publisher, QoS 0, 200 messages on the way, to 50 plain QoS 0 subscribers",
  subjects: ["memory", "mosquitto"],
  rounds: 3,
  rows: [
    {
      name: "fan-out-ratio",
      text: "fan-out 1 → 50, against mosquitto",
      subject: "memory",
      ...ratio,
      must: 0.8,
      aim: 2,
    },
    { name: "fan-out-memory", text: "fan-out 1 → 50, memory, deliveries", subject: "memory", ...perSecond },
    {
      name: "fan-out-mosquitto",
      text: "fan-out 1 → 50, mosquitto, deliveries",
      subject: "mosquitto",
      ...perSecond,
    },
  ],
  measure: (subject, options) => measure(toFifty, subject, options),
};
