/** Programs from Debian's packages. Missing ones skip their tests with a loud line, and fail them with CI=true. */
import { spawnSync } from "node:child_process";

/** For tap's `skip` option: false when the program is there, else the reason. Throws under CI. */
export function skipUnless(program: string, debianPackage: string): string | false {
  const found = spawnSync("sh", ["-c", `command -v ${program}`]).status === 0;
  return found ? false : missing(program, debianPackage);
}

/** A Python that has a module, and tap's `skip` option as of {@link skipUnless}. */
export function pythonWith(module: string, debianPackage: string): { program: string; skip: string | false } {
  // Debian's Python has Debian's modules; another one first on the path need not.
  const pythons = ["/usr/bin/python3", "python3"];
  const program = pythons.find((name) => spawnSync(name, ["-c", `import ${module}`]).status === 0);
  if (program !== undefined) return { program, skip: false };
  return { program: "python3", skip: missing(`Python's ${module}`, debianPackage) };
}

function missing(what: string, debianPackage: string): string {
  const reason = `SKIPPED: ${what} is missing; install it with: apt-get install ${debianPackage}`;
  if (process.env.CI === "true") throw new Error(reason);
  process.stderr.write(`\n*** ${reason}\n\n`);
  return reason;
}
