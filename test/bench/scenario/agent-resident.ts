/** What an agent takes of memory beside a long backlog: while its broker is away, and while the backlog drains. */
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "../../support/broker.ts";
import { freePort } from "../../support/ports.ts";
import { type Program, startCommand } from "../../support/program.ts";
import { startBenchAgent, tradeLine } from "../agent/agent.ts";
import { residentPeak } from "../load/process-figures.ts";
import { Cleanup } from "../subject/cleanup.ts";
import { startEquipoise } from "../subject/equipoise.ts";
import type { Figures, MeasureOptions, Row, Scenario } from "./scenario.ts";

const megabyte = 1e6;
const perSecond = 1_000;
const awayMs = 20_000;
const drainMs = 15_000;
const program = fileURLToPath(new URL("../agent/backlog-process.ts", import.meta.url));

async function measure(backlogBytes: number, { profileDir }: MeasureOptions): Promise<Figures> {
  return await Cleanup.after(async (cleanup) => {
    const dataDir = await temporaryDirectory(cleanup);
    await startCommand(cleanup, process.execPath, [program, dataDir, String(backlogBytes)]).event("filled");
    const port = await freePort();
    const startedAtMs = performance.now();
    const args = ["--source", "stdin:", "--buffer-max-bytes", "16GiB"];
    const agent = startBenchAgent(cleanup, { broker: `mqtt://127.0.0.1:${port}`, dataDir, args, profileDir });
    await agent.event("ready");
    const startMs = performance.now() - startedAtMs;
    const pid = agent.child.pid as number;
    const away = residentPeak(cleanup, pid);
    await feed(agent, awayMs);
    const residentMb = away() / megabyte;
    const broker = await startEquipoise("disk", { port });
    cleanup.teardown(() => broker.stop());
    await agent.event("connected");
    const draining = residentPeak(cleanup, pid);
    const drainedPerSecond = await drain(agent);
    return { startMs, residentMb, drainingMb: draining() / megabyte, drainedPerSecond };
  });
}

/** Live ticks come all the time. @returns acknowledged in a second, until the backlog or the time is over */
async function drain(agent: Program): Promise<number> {
  const startedAtMs = performance.now();
  const acknowledged = (): number => Number(agent.lines.findLast(isProgress)?.acknowledged ?? 0);
  const before = acknowledged();
  while (performance.now() - startedAtMs < drainMs && !isDrained(agent)) await feed(agent, 500);
  return ((acknowledged() - before) / (performance.now() - startedAtMs)) * 1_000;
}

const isProgress = ({ event }: { event?: string }): boolean => event === "progress";
const isDrained = ({ lines }: Program): boolean => Number(lines.findLast(isProgress)?.waiting) < perSecond;

async function feed(agent: Program, durationMs: number): Promise<void> {
  const startedAtMs = performance.now();
  for (let sent = 0; sent < (durationMs / 1_000) * perSecond; ) {
    const due = ((performance.now() - startedAtMs) / 1_000) * perSecond;
    for (; sent < due; sent += 1) agent.child.stdin.write(tradeLine(sent));
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const row = { subject: "disk", unit: "MB", better: "less", must: 150, aim: 90 } as const;

function rows(name: string, size: string): Row[] {
  return [
    {
      ...row,
      name,
      text: `agent with ${size} waiting, broker away, 1,000 ticks/s: resident memory, at most`,
      figure: "residentMb",
    },
    {
      ...row,
      name: `${name}-draining`,
      text: "the same while it drains",
      figure: "drainingMb",
    },
    {
      name: `${name}-drain`,
      text: "the same: drained at",
      subject: "disk",
      figure: "drainedPerSecond",
      unit: "ticks/s",
      better: "more",
      must: 15_000,
      aim: 40_000,
    },
    {
      name: `${name}-start`,
      text: "the same: from its start until it is ready",
      subject: "disk",
      figure: "startMs",
      unit: "ms",
      better: "less",
    },
  ];
}

export const agentResident: Scenario = {
  name: "agent-resident",
  text: "100 MB of ticks in the buffer, 1,000 ticks/s, the broker away and then back",
  subjects: ["disk"],
  rounds: 1,
  rows: rows("agent-resident", "100 MB"),
  measure: (_, options) => measure(1e8, options),
};

/** About ten minutes and 12 GB of disk. */
export const agentResidentLong: Scenario = {
  name: "agent-resident-5gb",
  text: "the same with 5 GB",
  subjects: ["disk"],
  rounds: 1,
  onRequest: true,
  rows: rows("agent-resident-5gb", "5 GB"),
  measure: (_, options) => measure(5e9, options),
};
