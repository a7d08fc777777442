import { type DestinationStream, destination, type Logger, pino } from "pino";

export type { Logger };

/**
 * The log of a service: pino JSON, one object a line, to standard output unless told otherwise (programs whose standard
 * output is data log to standard error). On a terminal it is for people: time, level, message and the other fields.
 */
export function createLogger(options: { name: string; level: string; stream?: DestinationStream }): Logger {
  const { name, level, stream = standardOutput() } = options;
  return pino({ name, level, redact: ["password", "*.password"] }, stream);
}

export const stderrStream = (): DestinationStream => destination({ dest: 2, sync: true });

function standardOutput(): DestinationStream {
  const stream = destination({ dest: 1, sync: true });
  if (!process.stdout.isTTY) return stream;
  return { write: (line) => stream.write(readable(line)) };
}

/** A line of pino's as a person reads it. */
export function readable(line: string): string {
  const { level, time, pid: _, hostname: _host, name: _name, msg = "", ...fields } = JSON.parse(line);
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${shown(value)}`);
  const label = (pino.levels.labels[level] ?? "").toUpperCase();
  return `${[new Date(time).toISOString(), label.padEnd(5), msg, ...rest].join(" ")}\n`;
}

/** Text without blanks needs no quotes. */
const shown = (value: unknown): string =>
  typeof value === "string" && /^[^\s"]+$/.test(value) ? value : JSON.stringify(value);
