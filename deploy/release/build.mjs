/**
 * `npm run build [-- DIRECTORY]`: the release, in `dist`. The same tree as here with JavaScript in place of TypeScript, so that every
 * path in the code, the units and the documents holds in both. In this directory it finds the packages that are
 * installed here; anywhere else `npm run setup` installs them.
 */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { fingerprintFile, fingerprintOf, packages } from "../../shared/bin/build.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));
const dist = resolve(root, process.argv[2] ?? "dist");
const copied = [
  "package-lock.json",
  ".npmrc",
  "LICENSE",
  "CHANGELOG.md",
  "CONTRIBUTING.md",
  "docs",
  "deploy/systemd",
  "shared/proto",
];
const readmeHead = `> **This is a release**, compiled from the repository that this README is of. \`npm run setup\` installs what it runs with;
> [operating-agents.md](docs/operating-agents.md#as-a-service) says how it becomes a service, and how its programs are
> called here. \`npm start\`, \`npm test\`, \`npm run bench\`, the recording below \`deploy/demo\` and the TypeScript sources
> are in the repository alone.
`;
const scripts = {
  setup: "npm ci --omit=dev --ignore-scripts && npm rebuild node --ignore-scripts=false",
};

const readJson = (path) => JSON.parse(readFileSync(join(root, path), "utf8"));
const writeJson = (path, value) => writeFileSync(join(dist, path), `${JSON.stringify(value, null, 2)}\n`);

/** Where a package's exports point to TypeScript they point to what became of it. */
function compiledManifest(name) {
  const manifest = readJson(join(name, "package.json"));
  const exports = Object.entries(manifest.exports).map(([key, path]) => [key, path.replace(/\.ts$/, ".js")]);
  return { ...manifest, exports: Object.fromEntries(exports) };
}

// Before the compiler reads them: what is changed meanwhile makes the build an old one.
const fingerprint = fingerprintOf(root);
rmSync(dist, { recursive: true, force: true });
const compiled = spawnSync("tsc", ["-p", "deploy/release", "--outDir", dist], {
  cwd: root,
  stdio: "inherit",
});
if (compiled.status !== 0) process.exit(compiled.status ?? 1);
for (const path of copied) cpSync(join(root, path), join(dist, path), { recursive: true });
writeFileSync(join(dist, "README.md"), `${readmeHead}\n${readFileSync(join(root, "README.md"), "utf8")}`);
writeJson("package.json", { ...readJson("package.json"), scripts });
mkdirSync(join(dist, "node_modules", "@equipoise"), { recursive: true });
for (const name of packages) {
  cpSync(join(root, name, "bin"), join(dist, name, "bin"), { recursive: true });
  writeJson(join(name, "package.json"), compiledManifest(name));
  symlinkSync(join("..", "..", name), join(dist, "node_modules", "@equipoise", name), "junction");
}
writeFileSync(join(dist, fingerprintFile), fingerprint);
process.stdout.write(`equipoise: built ${dist}\n`);
