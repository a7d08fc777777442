/** The methods by name. */
import type { AgentHeartbeat } from "@equipoise/shared";
import type { Archive } from "./archive.ts";
import { type Method, single } from "./method.ts";
import { latest, range } from "./range.ts";
import { resend } from "./resend.ts";
import { config, type LiveSources } from "./symbols.ts";

export const methodNames = ["latest", "range", "resend", "stats", "config", "ping"] as const;
export type MethodName = (typeof methodNames)[number];

export interface MethodsOptions {
  archive: Archive;
  sources: LiveSources;
  state: () => AgentHeartbeat;
  /** Those that are answered. */
  allowed: readonly MethodName[];
}

export function createMethods(options: MethodsOptions): Map<string, Method> {
  const { archive, sources, state, allowed } = options;
  const all: Record<MethodName, Method> = {
    latest: latest(archive),
    range: range(archive),
    resend: resend(archive),
    stats: single(() => ({ fields: { stats: state() } })),
    config: config(sources),
    ping: single(() => ({ fields: { timeMs: state().timeMs, version: state().version } })),
  };
  return new Map(allowed.map((name) => [name, all[name]]));
}
