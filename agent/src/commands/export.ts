import {
  bulkOutput,
  type Command,
  ControlClient,
  isEnough,
  outputError,
  readArgs,
  socketHelp,
  socketOptions,
  type TickRecord,
  usage,
} from "@equipoise/shared";
import type { BufferStatus } from "../control/agent-control.ts";
import { count } from "./words.ts";

const help = `equipoise-agent export: writes what the running agent still has, one JSON record on each line

Usage: equipoise-agent export [--stream VENUE/SYMBOL …] [--from TIME] [--to TIME] [OPTION …]

  --stream VENUE/SYMBOL   only this stream (repeatable; all of them without it)
  --from TIME, --to TIME  only trades that arrived then, as 2025-01-31T12:00:00Z; gap records go with the trade before
${socketHelp("agent")}

Records go to standard output, progress to standard error. Ctrl-C ends behind a whole line.
`;

const options = {
  ...socketOptions,
  stream: { type: "string", multiple: true, default: [] as string[] },
  from: { type: "string" },
  to: { type: "string" },
} as const;

interface Span {
  fromUs: number;
  toUs: number;
}

const progressMs = 1_000;

export const exportRecords: Command = {
  help,
  async run(args, env) {
    const { values, positionals } = readArgs(args, options);
    if (positionals.length > 0) throw usage(`export takes no ${positionals.join(" ")}; a stream is --stream`);
    const span = {
      fromUs: timeUs("from", values.from) ?? 0,
      toUs: timeUs("to", values.to) ?? Number.MAX_SAFE_INTEGER,
    };
    const client = new ControlClient("agent", values, env);
    const { streams } = await client.ask<BufferStatus>("GET", "/buffer");
    const known = streams.map(({ venue, symbol }) => `${venue}/${symbol}`);
    const unknown = values.stream.find((name) => !known.includes(name));
    if (unknown !== undefined) throw usage(`there is no stream ${unknown}; there are ${known.join(", ")}`);
    const chosen = values.stream.length === 0 ? known : [...new Set(values.stream)];
    await new Export(client, span).run(chosen);
  },
};

function timeUs(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const ms = Date.parse(text);
  if (Number.isNaN(ms)) throw usage(`--${flag} ${text}: must be a time such as 2025-01-31T12:00:00Z`);
  return ms * 1_000;
}

class Export {
  readonly #client: ControlClient;
  readonly #span: Span;
  readonly #output = bulkOutput();
  #written = 0;
  #reportedMs = performance.now();
  #interrupted = false;
  /** The reader has seen enough (`| head`), which is a normal end. */
  #closed = false;

  constructor(client: ControlClient, span: Span) {
    this.#client = client;
    this.#span = span;
  }

  async run(streams: readonly string[]): Promise<void> {
    const interrupt = (): void => {
      this.#interrupted = true;
    };
    process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
    this.#output.on("error", () => {}); // each write tells of its own
    for (const stream of streams) await this.#stream(stream);
    process.stderr.write(`${count(this.#written)} records${this.#interrupted ? ", interrupted" : ""}\n`);
    if (this.#interrupted) process.exitCode = 130;
  }

  async #stream(name: string): Promise<void> {
    const at = name.indexOf("/");
    const query = new URLSearchParams({ venue: name.slice(0, at), symbol: name.slice(at + 1) });
    let inside = this.#span.fromUs === 0;
    for (let fromSeq = 1; !this.#interrupted && !this.#closed; ) {
      query.set("fromSeq", String(fromSeq));
      const page = await this.#client.ask<string[]>("GET", `/records?${query}`);
      const records = page.map((text) => ({ text, record: JSON.parse(text) as TickRecord }));
      const last = records.at(-1);
      if (last === undefined) return;
      const wanted = records.filter(({ record }) => {
        if (record.type === "trade") inside = this.#holds(record.receivedTimeUs);
        return inside;
      });
      await this.#write(wanted.map(({ text }) => `${text}\n`));
      this.#report(name);
      fromSeq = last.record.seq + 1;
    }
  }

  #holds(timeUs: number): boolean {
    return timeUs >= this.#span.fromUs && timeUs <= this.#span.toUs;
  }

  async #write(lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return;
    await new Promise<void>((resolve, reject) => {
      this.#output.write(lines.join(""), (error) => {
        this.#closed = isEnough(error);
        if (error && !this.#closed) reject(outputError(error));
        else resolve();
      });
    });
    this.#written += lines.length;
  }

  #report(stream: string): void {
    if (performance.now() - this.#reportedMs < progressMs) return;
    this.#reportedMs = performance.now();
    process.stderr.write(`${stream}: ${count(this.#written)} records\n`);
  }
}
