import { type Command, ControlClient, controlHelp, controlOptions, readArgs, usage } from "@equipoise/shared";
import type { DeadLetter } from "../pool/dead-letters.ts";

const help = `equipoise-broker dead: the dead letters of a pool of the running broker

Usage: equipoise-broker dead list POOL [--limit N] [OPTION …]
       equipoise-broker dead replay POOL [OPTION …]
       equipoise-broker dead purge POOL [OPTION …]

  --limit N        with list: at most so many, the oldest first (default 100)
${controlHelp("broker")}

replay puts them back into their pool as new messages; purge forgets them.
`;

const options = { ...controlOptions, limit: { type: "string", default: "100" } } as const;

export const dead: Command = {
  help,
  async run(args, env) {
    const { values, positionals } = readArgs(args, options);
    const [action = "", pool, ...more] = positionals;
    if (pool === undefined || more.length > 0)
      throw usage(`dead ${positionals.join(" ")}: it is dead list, replay or purge POOL`);
    const client = new ControlClient("broker", values, env);
    const path = `/dead/${encodeURIComponent(pool)}`;
    if (action === "list") {
      if (!/^[1-9]\d*$/.test(values.limit))
        throw usage(`--limit is ${values.limit}: must be an integer from 1`);
      const letters = await client.ask<DeadLetter[]>("GET", `${path}?limit=${values.limit}`);
      process.stdout.write(values.json ? `${JSON.stringify(letters)}\n` : table(letters));
    } else if (action === "replay" || action === "purge") {
      const done = await client.ask<Record<string, number>>("POST", `${path}/${action}`);
      const [word, number] = Object.entries(done)[0] ?? [action, 0];
      process.stdout.write(values.json ? `${JSON.stringify(done)}\n` : `${word} ${number}\n`);
    } else throw usage(`${action || "nothing"} is not one of list, replay, purge`);
  },
};

function table(letters: readonly DeadLetter[]): string {
  if (letters.length === 0) return "no dead letters\n";
  const rows = letters.map(({ topic, attempts, firstTimeMs, lastTimeMs, reason, payload, encoding }) => {
    const shown = encoding === "utf8" ? payload : `base64 ${payload}`;
    const times = `${new Date(firstTimeMs).toISOString()} to ${new Date(lastTimeMs).toISOString()}`;
    return `${topic}  ${attempts} attempts, ${times}\n  ${reason}\n  ${shown.slice(0, 160)}`;
  });
  return `${rows.join("\n")}\n`;
}
