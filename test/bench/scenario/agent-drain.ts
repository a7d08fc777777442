/** After an outage: how fast the backlog goes out, and what the agent takes of memory meanwhile. */
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "../../support/broker.ts";
import { startCommand } from "../../support/program.ts";
import { startBenchAgent } from "../agent/agent.ts";
import { residentPeak } from "../load/process-figures.ts";
import { Cleanup } from "../subject/cleanup.ts";
import { startEquipoise } from "../subject/equipoise.ts";
import type { Figures, Scenario } from "./scenario.ts";

const ticks = 1_000_000;
const megabyte = 1e6;
const program = fileURLToPath(new URL("../agent/fill-process.ts", import.meta.url));

async function measure(profileDir: string | undefined): Promise<Figures> {
  return await Cleanup.after(async (cleanup) => {
    const dataDir = await temporaryDirectory(cleanup);
    await startCommand(cleanup, process.execPath, [program, dataDir, String(ticks)]).event("filled");
    const broker = await startEquipoise("disk");
    cleanup.teardown(() => broker.stop());
    const url = `mqtt://127.0.0.1:${broker.port}`;
    const args = ["--source", "stdin:", "--once"];
    const agent = startBenchAgent(cleanup, { broker: url, dataDir, args, profileDir });
    agent.child.stdin.end();
    const { waiting } = await agent.event("ready");
    if (waiting !== ticks) throw new Error(`${waiting} of ${ticks} ticks wait`);
    const resident = residentPeak(cleanup, agent.child.pid as number);
    const { acknowledged, durationMs } = await agent.event("ended");
    if (acknowledged !== ticks) throw new Error(`${acknowledged} of ${ticks} ticks were acknowledged`);
    return { perSecond: (ticks / Number(durationMs)) * 1_000, residentMb: resident() / megabyte };
  });
}

const disk = { subject: "disk" } as const;

export const agentDrain: Scenario = {
  name: "agent-drain",
  text: "a backlog of 1 million ticks after an outage, to a broker on disk",
  subjects: ["disk"],
  rounds: 1,
  rows: [
    {
      name: "agent-drain",
      text: "backlog of 1 million ticks: drained at",
      ...disk,
      figure: "perSecond",
      unit: "ticks/s",
      better: "more",
      must: 15_000,
      aim: 40_000,
    },
    {
      name: "agent-drain-resident",
      text: "the same: the agent's resident memory, at most",
      ...disk,
      figure: "residentMb",
      unit: "MB",
      better: "less",
      must: 150,
      aim: 90,
    },
  ],
  measure: (_, { profileDir }) => measure(profileDir),
};
