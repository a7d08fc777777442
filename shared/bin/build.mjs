/** Which code a program runs: that of a release, an up-to-date build, or the TypeScript sources. */
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const packages = ["shared", "agent", "broker"];
/** In `dist`: of the sources that it was built from. */
export const fingerprintFile = ".fingerprint";

/** Of everything that a build is made from: names, sizes and times of change. @param root of the working tree */
export function fingerprintOf(root) {
  const files = packages.flatMap((name) => [
    join(name, "package.json"),
    ...readdirSync(join(root, name, "src"), { recursive: true }).map((file) => join(name, "src", file)),
    ...readdirSync(join(root, name, "bin")).map((file) => join(name, "bin", file)),
  ]);
  const hash = createHash("sha256");
  for (const file of files.sort()) {
    const { size, mtimeMs } = statSync(join(root, file));
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return hash.digest("hex");
}

/**
 * The URL of a package's module, for the program at `bin`. A build that is older than the sources is not run.
 * @param name of the package's folder
 * @param module below `src`, without its extension
 * @returns whether it is compiled, too
 */
export function moduleOf(bin, name, module) {
  const released = new URL(`../src/${module}.js`, bin);
  if (existsSync(released)) return { url: released, compiled: true };
  const root = new URL("../../", bin);
  const built = new URL(`dist/${name}/src/${module}.js`, root);
  if (isUpToDate(root)) return { url: built, compiled: true };
  return { url: new URL(`../src/${module}.ts`, bin), compiled: false };
}

function isUpToDate(root) {
  const file = new URL(`dist/${fingerprintFile}`, root);
  return existsSync(file) && readFileSync(file, "utf8") === fingerprintOf(fileURLToPath(root));
}
