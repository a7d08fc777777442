/** How fast a recorded file goes through the agent: read, numbered, committed, published, acknowledged. */
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { temporaryDirectory } from "../../support/broker.ts";
import { startBenchAgent } from "../agent/agent.ts";
import { cpuUs } from "../load/process-figures.ts";
import { Cleanup } from "../subject/cleanup.ts";
import { startEquipoise } from "../subject/equipoise.ts";
import type { Figures, Scenario } from "./scenario.ts";

const sample = new URL("../../../deploy/demo/sample/spot_btcusdt_20240808.trades.txt.gz", import.meta.url);
const repeats = 100;

async function measure(profileDir: string | undefined): Promise<Figures> {
  return await Cleanup.after(async (cleanup) => {
    const broker = await startEquipoise("disk");
    cleanup.teardown(() => broker.stop());
    const dataDir = await temporaryDirectory(cleanup);
    const file = join(dataDir, "recording.txt");
    await writeFile(file, gunzipSync(readFileSync(sample)).toString().repeat(repeats));
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const args = ["--source", `file:${file}`, "--speed", "max", "--once"];
    const agent = startBenchAgent(cleanup, { broker: url, dataDir, args, profileDir });
    await agent.event("progress");
    const cpuBeforeUs = cpuUs(agent.child.pid as number);
    const before = agent.lines.findLast(({ event }) => event === "progress");
    let cpuAfterUs = cpuBeforeUs;
    let after = before;
    for (;;) {
      const seen = agent.lines.length;
      const ended = agent.lines.some(({ event }) => event === "ended");
      if (ended) break;
      const latest = agent.lines.findLast(({ event }) => event === "progress");
      if (latest !== after) {
        after = latest;
        cpuAfterUs = cpuUs(agent.child.pid as number);
      }
      await agent.line((line) => agent.lines.indexOf(line) >= seen);
    }
    const { acknowledged, durationMs } = await agent.event("ended");
    const during = Number(after?.acknowledged) - Number(before?.acknowledged);
    return {
      perSecond: (Number(acknowledged) / Number(durationMs)) * 1_000,
      cpuUsPerTick: (cpuAfterUs - cpuBeforeUs) / during,
    };
  });
}

export const agentThroughput: Scenario = {
  name: "agent-throughput",
  text: "a recorded file through an agent with a buffer on disk, to a broker on disk",
  subjects: ["disk"],
  rounds: 2,
  rows: [
    {
      name: "agent-throughput",
      text: "recorded file → SQLite → PUBACK",
      subject: "disk",
      figure: "perSecond",
      unit: "ticks/s",
      better: "more",
      must: 25_000,
      aim: 60_000,
    },
    {
      name: "agent-throughput-cpu",
      text: "the same: the agent's CPU per tick",
      subject: "disk",
      figure: "cpuUsPerTick",
      unit: "µs",
      better: "less",
      must: 35,
      aim: 18,
    },
  ],
  measure: (_, { profileDir }) => measure(profileDir),
};
