/** How long after its arrival a live tick is acknowledged by the broker: the agent's part of a price's age. */
import { temporaryDirectory } from "../../support/broker.ts";
import { Acknowledgements } from "../agent/acknowledgements.ts";
import { startBenchAgent, tradeLine } from "../agent/agent.ts";
import { quantile } from "../balance/completions.ts";
import { cpuUs } from "../load/process-figures.ts";
import { Cleanup } from "../subject/cleanup.ts";
import { startEquipoise } from "../subject/equipoise.ts";
import type { Figures, Scenario } from "./scenario.ts";

const perSecond = 500;
const periodMs = 1_000 / perSecond;
const warmUpTicks = 500;
const ticks = 5_000;

async function measure(profileDir: string | undefined): Promise<Figures> {
  return await Cleanup.after(async (cleanup) => {
    const broker = await startEquipoise("disk");
    cleanup.teardown(() => broker.stop());
    const acknowledgements = new Acknowledgements(broker.port);
    const url = await acknowledgements.start(cleanup);
    const dataDir = await temporaryDirectory(cleanup);
    const agent = startBenchAgent(cleanup, {
      broker: url,
      dataDir,
      args: ["--source", "stdin:"],
      profileDir,
    });
    await agent.event("connected");
    const sentAtMs = await feed((line) => agent.child.stdin.write(line));
    const pid = agent.child.pid as number;
    const cpuUsPerTick = cpuUs(pid) / ticks;
    while (acknowledgements.atMs.size < ticks) await new Promise((resolve) => setTimeout(resolve, 5));
    const latenciesMs = sentAtMs
      .map((atMs, n) => (acknowledgements.atMs.get(String(n)) as number) - atMs)
      .slice(warmUpTicks);
    return { p50Ms: quantile(latenciesMs, 0.5), p99Ms: quantile(latenciesMs, 0.99), cpuUsPerTick };
  });
}

/** @returns when each line was written, in monotonic milliseconds */
async function feed(write: (line: string) => void): Promise<number[]> {
  const sentAtMs: number[] = [];
  const startedAtMs = performance.now();
  while (sentAtMs.length < ticks) {
    while (sentAtMs.length < ticks && performance.now() - startedAtMs >= sentAtMs.length * periodMs) {
      write(tradeLine(sentAtMs.length));
      sentAtMs.push(performance.now());
    }
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return sentAtMs;
}

const p99 = { figure: "p99Ms", unit: "ms", better: "less", must: 25, aim: 8 } as const;
const p50 = { figure: "p50Ms", unit: "ms", better: "less" } as const;

export const agentLive: Scenario = {
  name: "agent-live",
  text: "500 ticks a second into an agent with a buffer on disk, to a broker on disk",
  subjects: ["disk"],
  rounds: 2,
  rows: [
    { name: "agent-live-p99", text: "live tick, receive → PUBACK: p99", subject: "disk", ...p99 },
    { name: "agent-live-p50", text: "live tick, receive → PUBACK: median", subject: "disk", ...p50 },
  ],
  measure: (_, { profileDir }) => measure(profileDir),
};
