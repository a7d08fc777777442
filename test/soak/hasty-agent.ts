/**
 * An agent for which time runs faster than for everybody else, and which says what memory it needs. The first argument
 * is how many times faster, the second how often it says so, in its own milliseconds; the others are the agent's.
 */
import { type Clock, createLogger, readCommandLine } from "@equipoise/shared";
import { Agent } from "../../agent/src/agent.ts";
import { program } from "../../agent/src/config.ts";

Buffer.poolSize = 8_192; // as the agent's own main does
const [factorText = "1", sampleText = "60000", ...args] = process.argv.slice(2);
const factor = Number(factorText);
const startedAtMs = Date.now();

const clock: Clock = {
  wallMs: () => startedAtMs + clock.monotonicMs(),
  monotonicMs: () => performance.now() * factor,
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs / factor);
    timer.unref();
    return () => clearTimeout(timer);
  },
  every(periodMs, callback) {
    const timer = setInterval(callback, periodMs / factor);
    timer.unref();
    return () => clearInterval(timer);
  },
};

function saySample(): void {
  globalThis.gc?.();
  const { heapUsed, external, rss } = process.memoryUsage();
  const timeMs = Math.round(clock.monotonicMs());
  process.stdout.write(
    `${JSON.stringify({ event: "memory", timeMs, heapBytes: heapUsed + external, rss })}\n`,
  );
}

const line = readCommandLine(program, args, {});
if ("print" in line) throw new Error("an agent has something to do");
const logger = createLogger({ name: program.name, level: line.config.logLevel });
const agent = new Agent({ config: line.config, logger, clock, random: Math.random, stdin: process.stdin });
agent.ended.catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exit(1);
});
await agent.start();
const cancel = clock.every(Number(sampleText), saySample);
/** A stop takes a moment; one that hangs is to be understood, not waited for. */
const longestStopMs = 60_000;

process.once("SIGTERM", () => {
  cancel();
  setTimeout(() => {
    process.stderr.write(`still stopping, with ${process.getActiveResourcesInfo().join(" ")}\n`);
    process.exit(70);
  }, longestStopMs).unref();
  void agent.stop().then(() => process.exit(0));
});
