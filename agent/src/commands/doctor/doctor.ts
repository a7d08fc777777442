import { resolve } from "node:path";
import { type Command, exitCodes, folded, readCommandLine, tableColumns, warn } from "@equipoise/shared";
import { program } from "../../config.ts";
import type { Finding } from "./check.ts";
import { brokers, runningAgent, venues } from "./network.ts";
import { sources } from "./sources.ts";
import { storage } from "./storage.ts";
import { architecture, clockFinding, libc, node } from "./system.ts";
import { waiting } from "./waiting.ts";

const help = `equipoise-agent doctor: looks at everything that an agent needs, before it runs or while it does

Usage: equipoise-agent doctor [--json] [FLAG OF THE AGENT …]

  --json    print JSON

It takes the agent's own flags, variables and --config, and looks at what they say: the data directory, the brokers
with their credentials, the sources. It connects as AGENT-ID-doctor, so a running agent stays connected. Exit code 0 when the agent will work, 1 when something fails.
`;

export const doctor: Command = {
  help,
  async run(args, env) {
    const json = args.includes("--json");
    const line = readCommandLine(
      program,
      args.filter((arg) => arg !== "--json"),
      env,
    );
    if ("print" in line) return void process.stdout.write(line.print);
    const { config, warnings } = line;
    warn(program.name, warnings);
    const { maxBytes, minFreeDiskBytes } = config.buffer;
    const directory = resolve(config.dataDir);
    const running = await runningAgent(config, env);
    const found = await Promise.all([
      [node(), architecture(), libc()],
      clockFinding().then((finding) => [finding]),
      storage({ directory, maxBytes, minFreeDiskBytes }),
      waiting({ directory, agentId: config.agentId, source: config.source }),
      brokers(config, running),
      sources(config, running !== undefined),
      venues(config),
    ]);
    const findings = found.flat();
    process.stdout.write(json ? `${JSON.stringify(findings)}\n` : table(findings));
    if (findings.some(({ verdict }) => verdict === "fail")) process.exitCode = exitCodes.failed;
  },
};

function table(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const rows = findings.flatMap(({ name, verdict, detail }) => {
    const head = `  ${(verdict === "fail" ? "FAIL" : verdict).padEnd(4)}  ${name.padEnd(width)}  `;
    return folded(`${head}${detail}`, head.length, tableColumns());
  });
  return `${rows.join("\n")}\n`;
}
