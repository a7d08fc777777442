import { type Command, exitCodes, readCommandLine } from "@equipoise/shared";
import { program } from "../../config.ts";
import type { Finding } from "./check.ts";
import { brokers, venues } from "./network.ts";
import { storage } from "./storage.ts";
import { architecture, clockFinding, libc, node } from "./system.ts";
import { waiting } from "./waiting.ts";

const help = `equipoise-agent doctor: looks at everything that an agent needs, before it runs or while it does

Usage: equipoise-agent doctor [--json] [FLAG OF THE AGENT …]

  --json    print JSON

It takes the agent's own flags, variables and --config, and looks at what they say: the data directory, the brokers
with their credentials, the venues. Exit code 0 when the agent will work, 1 when something fails.
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
    const { config } = line;
    const { maxBytes, minFreeDiskBytes } = config.buffer;
    const found = await Promise.all([
      [node(), architecture(), libc()],
      clockFinding().then((finding) => [finding]),
      storage({ directory: config.dataDir, maxBytes, minFreeDiskBytes }),
      waiting({ directory: config.dataDir, agentId: config.agentId, source: config.source }),
      brokers(config, env),
      venues(config),
    ]);
    const findings = found.flat();
    process.stdout.write(json ? `${JSON.stringify(findings)}\n` : table(findings));
    if (findings.some(({ verdict }) => verdict === "fail")) process.exitCode = exitCodes.failed;
  },
};

function table(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const rows = findings.map(({ name, verdict, detail }) => {
    const shown = verdict === "fail" ? "FAIL" : verdict;
    return `  ${shown.padEnd(4)}  ${name.padEnd(width)}  ${detail}\n`;
  });
  return rows.join("");
}
