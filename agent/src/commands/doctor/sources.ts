/** Whether the sources and the HTTP endpoints can begin, found out by beginning them. */
import { statSync } from "node:fs";
import { createLogger, Endpoints, EquipoiseError, systemClock } from "@equipoise/shared";
import type { AgentConfig } from "../../config.ts";
import { createSource } from "../../source/create.ts";
import type { ReadMarks, TickSink } from "../../source/source.ts";
import { parseSourceSpec, type SourceSpec } from "../../source/spec.ts";
import { type Finding, fail, ok, warn } from "./check.ts";

const logger = createLogger({ name: "doctor", level: "error", stream: { write: () => {} } });
const nowhere: TickSink = { put: () => true, gap: () => true, room: async () => true };
const noMarks: ReadMarks = { of: () => undefined, readUntil: () => {} };

/** @param running an agent has the ports, which are not tried then */
export async function sources(config: AgentConfig, running: boolean): Promise<Finding[]> {
  if (config.source.length === 0) return [warn("source", "none is given: the agent needs at least one")];
  const findings: Finding[] = [];
  for (const spec of config.source.map(parseSourceSpec)) {
    if ("fault" in spec || !isTried(spec, running)) continue;
    findings.push(await tried("source", spec.text, () => beginAndEnd(spec, config.speed)));
  }
  if (config.http !== undefined && !running) findings.push(await http(config.http));
  return findings;
}

/** A venue is reached otherwise, and a pipe would be opened only when somebody writes to it. */
function isTried(spec: SourceSpec, running: boolean): boolean {
  if (spec.kind === "venue" || spec.kind === "stdin") return false;
  if (spec.kind === "file") return statSync(spec.path, { throwIfNoEntry: false })?.isFIFO() !== true;
  return !running;
}

async function beginAndEnd({ text }: SourceSpec, speed: string): Promise<void> {
  const surroundings = { clock: systemClock, random: Math.random, logger, stdin: process.stdin };
  const source = createSource(text, { ...surroundings, speed, marks: noMarks });
  await source.open();
  source.stop(0);
  await source.run(nowhere);
}

async function http(address: string): Promise<Finding> {
  const endpoints = new Endpoints({ address, families: () => [], unreadyReason: () => undefined });
  const finding = await tried("http", address, () => endpoints.start());
  await endpoints.stop();
  return finding;
}

async function tried(name: string, detail: string, attempt: () => Promise<unknown>): Promise<Finding> {
  try {
    await attempt();
    return ok(name, detail);
  } catch (error) {
    if (!(error instanceof EquipoiseError)) throw error;
    return fail(name, error.line);
  }
}
