import { type DestinationStream, destination, type Logger, pino } from "pino";

export type { Logger };

/**
 * The machine-readable log of a service: pino JSON, one object a line, to standard output unless told otherwise
 * (programs whose standard output is data log to standard error).
 */
export function createLogger(options: { name: string; level: string; stream?: DestinationStream }): Logger {
  const { name, level, stream = destination({ dest: 1, sync: true }) } = options;
  return pino({ name, level, redact: ["password", "*.password"] }, stream);
}

export const stderrStream = (): DestinationStream => destination({ dest: 2, sync: true });
