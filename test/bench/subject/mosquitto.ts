import { spawnSync } from "node:child_process";
import { startMosquitto } from "../../support/mosquitto.ts";
import { Cleanup } from "./cleanup.ts";
import type { Subject } from "./subject.ts";

/** As one would tune it for this: nothing on disk, no log, no Nagle. */
const lines = ["persistence false", "log_type none", "set_tcp_nodelay true"];
/** No bound at which it drops messages. */
const lifted = ["max_queued_messages 0", "max_queued_bytes 0", "max_inflight_messages 1000"];

/** Its bounds on what a subscriber may hold: lifted, or as it comes. */
export type Bounds = "lifted" | "defaults";

/** Its version, or `undefined` where it is not installed. */
export function mosquittoVersion(): string | undefined {
  const { stdout, error } = spawnSync("mosquitto", ["-h"], { encoding: "utf8" });
  return error === undefined ? /version (\S+)/.exec(stdout)?.[1] : undefined;
}

export async function startMosquittoSubject(bounds: Bounds = "lifted"): Promise<Subject> {
  const cleanup = new Cleanup();
  const { port, program } = await startMosquitto(
    cleanup,
    bounds === "lifted" ? [...lines, ...lifted] : lines,
  );
  return { name: "mosquitto", port, pid: program.child.pid as number, stop: () => cleanup.run() };
}
