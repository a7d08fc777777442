/** Programs from Debian's packages. Missing ones skip their tests with a loud line, and fail them with CI=true. */
import { spawnSync } from "node:child_process";

/** For tap's `skip` option: false when the program is there, else the reason. Throws under CI. */
export function skipUnless(program: string, debianPackage: string): string | false {
  const found = spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
  if (found) return false;
  const reason = `SKIPPED: ${program} is missing; install it with: apt-get install ${debianPackage}`;
  if (process.env.CI === "true") throw new Error(reason);
  process.stderr.write(`\n*** ${reason}\n\n`);
  return reason;
}
