/** A backlog on disk: how much memory it takes, and how soon after a crash it is delivered. */

import { join } from "node:path";
import Database from "better-sqlite3";
import { temporaryDirectory } from "../../support/broker.ts";
import type { Fill } from "../load/load.ts";
import { residentBytes } from "../load/process-figures.ts";
import { runLoad } from "../load/run-load.ts";
import { Cleanup } from "../subject/cleanup.ts";
import { memberFilter, pooledTopics, startEquipoise } from "../subject/equipoise.ts";
import { type Figures, type MeasureOptions, type Row, requireAll, type Scenario } from "./scenario.ts";

type Shape = Pick<Fill, "publishers" | "window" | "count" | "gapUs">;

const million = 1_000_000;
const megabyte = 1e6;

async function measure(shape: Shape, options: MeasureOptions): Promise<Figures> {
  return await Cleanup.after(async (cleanup) => {
    const dataDir = await temporaryDirectory(cleanup);
    const { port, figures } = await fillAndKill(shape, dataDir);
    const chunks = countChunks(dataDir);
    return { ...figures, chunks, ...(await restart(port, shape.count, dataDir, options)) };
  });
}

async function fillAndKill(shape: Shape, dataDir: string) {
  const broker = await startEquipoise("disk", { dataDir });
  const { port, pid } = broker;
  const { elapsedMs } = await runLoad({ kind: "fill", port, pid, topics: pooledTopics, ...shape });
  const residentMb = residentBytes(pid) / megabyte;
  await broker.kill();
  return { port, figures: { residentMb, filledPerSecond: (shape.count / elapsedMs) * 1_000 } };
}

/** The member tries to connect from the moment in which the new broker is started. */
async function restart(
  port: number,
  count: number,
  dataDir: string,
  options: MeasureOptions,
): Promise<Figures> {
  const draining = runLoad({
    kind: "drain",
    port,
    pid: process.pid,
    topics: pooledTopics,
    filter: memberFilter,
    count,
  });
  const startedAtMs = Date.now();
  const broker = await startEquipoise("disk", { ...options, port, dataDir });
  const restartedMb = residentBytes(broker.pid) / megabyte;
  try {
    const result = await draining;
    requireAll(result);
    const { firstAtMs = 0, elapsedMs } = result;
    return { firstDeliveryMs: firstAtMs - startedAtMs, restartedMb, drainedMs: elapsedMs };
  } finally {
    await broker.stop();
  }
}

function countChunks(dataDir: string): number {
  const db = new Database(join(dataDir, "journal.db"));
  try {
    return (db.prepare("SELECT count(*) AS chunks FROM chunk").get() as { chunks: number }).chunks;
  } finally {
    db.close();
  }
}

function rows(name: string, text: string): Row[] {
  const disk = { subject: "disk", better: "less" } as const;
  return [
    {
      name: `${name}-resident`,
      text: `resident memory, ${text}`,
      ...disk,
      figure: "residentMb",
      unit: "MB",
      must: 400,
      aim: 200,
    },
    {
      name: `${name}-restarted`,
      text: `the same after the restart, ${text}`,
      ...disk,
      figure: "restartedMb",
      unit: "MB",
      must: 400,
      aim: 200,
    },
    {
      name: `${name}-restart`,
      text: `kill -9 and restart until the first delivery, ${text}`,
      ...disk,
      figure: "firstDeliveryMs",
      unit: "ms",
      must: 5_000,
      aim: 1_000,
    },
    { name: `${name}-chunks`, text: `chunks on disk, ${text}`, ...disk, figure: "chunks", unit: "" },
  ];
}

export const backlog: Scenario = {
  name: "backlog",
  text: "a declared pool without members gets 1 million messages on disk, kill -9, restart, all are taken",
  subjects: ["disk"],
  rounds: 3,
  rows: rows("backlog", "backlog of 1 million"),
  measure: (_, options) => measure({ publishers: 2, window: 5_000, count: million, gapUs: 0 }, options),
};

export const backlogSingles: Scenario = {
  name: "backlog-singles",
  text: "the same with 200,000 messages that come one by one: each is a chunk of its own",
  subjects: ["disk"],
  rounds: 1,
  onRequest: true,
  rows: rows("backlog-singles", "backlog of 200,000 single messages"),
  measure: (_, options) => measure({ publishers: 1, window: 5_000, count: million / 5, gapUs: 100 }, options),
};
