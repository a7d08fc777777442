/** What a tick costs the disk, at 100 a second with the default settings. */
import { fileURLToPath } from "node:url";
import { temporaryDirectory } from "../../support/broker.ts";
import { startCommand } from "../../support/program.ts";
import { Cleanup } from "../subject/cleanup.ts";
import type { Figures, Row, Scenario } from "./scenario.ts";

const program = fileURLToPath(new URL("../agent/wear-process.ts", import.meta.url));

async function bytesPerTick(link: "healthy" | "outage"): Promise<number> {
  return await Cleanup.after(async (cleanup) => {
    const directory = await temporaryDirectory(cleanup);
    const child = startCommand(cleanup, process.execPath, [program, directory, link]);
    const { bytesPerTick: bytes } = await child.event("measured");
    return Number(bytes);
  });
}

async function measure(): Promise<Figures> {
  return {
    healthyBytesPerTick: await bytesPerTick("healthy"),
    outageBytesPerTick: await bytesPerTick("outage"),
  };
}

const bytes = { subject: "disk", unit: "bytes", better: "less", must: 2_000, aim: 600 } as const;
const rows: Row[] = [
  { name: "agent-wear", text: "written per tick at 100/s", figure: "healthyBytesPerTick", ...bytes },
  { name: "agent-wear-outage", text: "the same in an outage", figure: "outageBytesPerTick", ...bytes },
];

export const agentWear: Scenario = {
  name: "agent-wear",
  text: "ten simulated minutes of 100 ticks a second through the agent's buffer, with its defaults",
  subjects: ["disk"],
  rounds: 2,
  rows,
  measure,
};
