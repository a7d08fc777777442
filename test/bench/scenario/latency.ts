/** Time from sending to arrival at rates that are far from any limit. */
import type { Paced } from "../load/load.ts";
import { runLoad } from "../load/run-load.ts";
import { memberFilter, pooledTopics } from "../subject/equipoise.ts";
import { onSubject } from "../subject/start.ts";
import type { SubjectName } from "../subject/subject.ts";
import { type Figures, type MeasureOptions, type Row, requireAll, type Scenario } from "./scenario.ts";

type Shape = Pick<Paced, "publishers" | "rate" | "idle">;

async function measure(shape: Shape, name: SubjectName, options: MeasureOptions): Promise<Figures> {
  return await onSubject(name, options, async (subject) => {
    const result = await runLoad({
      kind: "paced",
      port: subject.port,
      pid: subject.pid,
      ...shape,
      subscribers: 4,
      topics: pooledTopics,
      filter: memberFilter,
      warmUpMs: 750,
      durationMs: 2_000,
    });
    requireAll(result);
    const {
      latencyUs = { p50: 0, p99: 0, max: 0 },
      measured,
      elapsedMs,
      brokerCpuUs,
      generatorCpuUs,
    } = result;
    return {
      p50Ms: latencyUs.p50 / 1_000,
      p99Ms: latencyUs.p99 / 1_000,
      maxMs: latencyUs.max / 1_000,
      perSecond: (measured / elapsedMs) * 1_000,
      cpuUsPerMessage: brokerCpuUs / measured,
      generatorCores: generatorCpuUs / 1_000 / elapsedMs,
    };
  });
}

function rows(name: string, text: string, bounds: { must?: number; aim?: number }): Row[] {
  const p99 = { figure: "p99Ms", unit: "ms", better: "less" } as const;
  const p50 = { figure: "p50Ms", unit: "ms", better: "less" } as const;
  return [
    { name: `${name}-disk-p99`, text: `${text}: p99, disk`, subject: "disk", ...p99, ...bounds },
    { name: `${name}-memory-p99`, text: `${text}: p99, memory`, subject: "memory", ...p99, ...bounds },
    { name: `${name}-mosquitto-p99`, text: `${text}: p99, mosquitto`, subject: "mosquitto", ...p99 },
    { name: `${name}-disk-p50`, text: `${text}: median, disk`, subject: "disk", ...p50 },
    { name: `${name}-memory-p50`, text: `${text}: median, memory`, subject: "memory", ...p50 },
    { name: `${name}-mosquitto-p50`, text: `${text}: median, mosquitto`, subject: "mosquitto", ...p50 },
  ];
}

const all = { subjects: ["memory", "mosquitto", "disk"], rounds: 3 } as const;

export const busy: Scenario = {
  ...all,
  name: "latency",
  text: "1,000 idle connections, 200 publishers at 50 msg/s each, to a pool of 4",
  rows: rows("latency", "1,000 idle + 200 × 50 msg/s", { must: 10, aim: 3 }),
  measure: (subject, options) => measure({ publishers: 200, rate: 50, idle: 1_000 }, subject, options),
};

export const quiet: Scenario = {
  ...all,
  name: "quiet",
  text: "10 publishers at 10 msg/s each, to a pool of 4",
  rows: rows("quiet", "10 × 10 msg/s", {}),
  measure: (subject, options) => measure({ publishers: 10, rate: 10, idle: 0 }, subject, options),
};
