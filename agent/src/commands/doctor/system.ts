/** What runs the agent: Node, the C library, the processor, the clock. */
import { type Clock, sqliteSystemFault, systemClock } from "@equipoise/shared";
import pino from "pino";
import { Synchronisation } from "../../clock/synchronisation.ts";
import { type Finding, fail, ok, warn } from "./check.ts";

/** Of Node 24's own binaries. */
const oldestGlibc = [2, 28];

export function node(running = process.version): Finding {
  return ok("node", running);
}

export function architecture(arch: string = process.arch): Finding {
  const fault = sqliteSystemFault(arch);
  if (fault === undefined) return ok("architecture", arch);
  return fail("architecture", `${fault}; on a Raspberry Pi install the 64-bit system`);
}

export function libc(glibc: string | undefined = runningGlibc()): Finding {
  if (glibc === undefined) return warn("libc", "no glibc (musl?): it may work and is not tested");
  const [major = 0, minor = 0] = glibc.split(".").map(Number);
  const [oldMajor = 0, oldMinor = 0] = oldestGlibc;
  if (major > oldMajor || (major === oldMajor && minor >= oldMinor)) return ok("libc", `glibc ${glibc}`);
  return fail("libc", `glibc ${glibc}: needs ${oldestGlibc.join(".")} or newer; upgrade the system`);
}

function runningGlibc(): string | undefined {
  const report = process.report.getReport() as unknown as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime;
}

export async function clockFinding(clock: Clock = systemClock): Promise<Finding> {
  const synchronisation = new Synchronisation(clock, pino({ level: "silent" }));
  const { synchronised, offsetMs } = await synchronisation.ask();
  const offset = offsetMs === null ? "" : `, off by ${offsetMs} ms`;
  if (synchronised === true) return ok("clock", `follows a time server${offset}`);
  if (synchronised === false)
    return warn("clock", "follows no time server: turn on chrony or systemd-timesyncd");
  return warn("clock", "nobody can tell whether it is right: there is neither chrony nor timedatectl");
}
