/**
 * Plain JavaScript on purpose: it must run, and speak clearly, on Nodes that can run nothing else here.
 * Below 22 better-sqlite3 13 crashes the process (segmentation fault) instead of throwing; below 22.18 Node does not
 * strip types without a flag.
 */
import { moduleOf } from "./build.mjs";

const oldestMajor = 22;
const oldestMinor = 18;

/** Ends the process with one clear line when the running Node cannot run `command`. */
export function requireNode(command) {
  const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);
  if (major > oldestMajor || (major === oldestMajor && minor >= oldestMinor)) return;
  process.stderr.write(
    `${command}: needs Node ${oldestMajor}.${oldestMinor} or newer, this is ${process.versions.node}. ` +
      `Run it as "npx ${command}" in the repository, which uses the Node 24 that npm installed there.\n`,
  );
  process.exit(69);
}

/**
 * Runs a program's `main`.
 * @param program its command, the URL of its launcher, its package's folder, and the module below `src` that has `main`
 * @param memory see {@link restartLean}; only for compiled code, because the compiler of sources takes more than it saves
 */
export async function launch({ command, bin, name, module = "main" }, memory) {
  requireNode(command);
  const { url, compiled } = moduleOf(bin, name, module);
  if (compiled && memory !== undefined) restartLean(memory);
  const { main } = await import(url.href);
  await main(process.argv.slice(2), process.env);
}

/**
 * Puts this process in the place of itself, with flags and variables that only count from the start; the process id
 * stays. Not for commands, which are over soon; nor where somebody has set one of the variables, or waits at the other end
 * of a channel, which would be cut.
 */
function restartLean({ flags, variables }) {
  const isService = process.argv[2] === undefined || process.argv[2].startsWith("-");
  const isSet = Object.keys(variables).some((name) => process.env[name] !== undefined);
  if (!isService || isSet || process.channel !== undefined || process.execve === undefined) return;
  const args = [process.execPath, ...flags, ...process.execArgv, ...process.argv.slice(1)];
  process.execve(process.execPath, args, { ...process.env, ...variables });
}
