/**
 * Plain JavaScript on purpose: it must run, and speak clearly, on Nodes that can run nothing else here.
 * Below 22 better-sqlite3 13 crashes the process (segmentation fault) instead of throwing; below 22.18 Node does not
 * strip types without a flag.
 */
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
