/** What a demo shows while it runs: a live picture on a terminal, a line now and then elsewhere. */
import { createLogUpdate } from "log-update";

/** One moment, in both forms. */
export interface Frame {
  elapsedMs: number;
  picture: readonly string[];
  plainLine: string;
}

const framePeriodMs = 250;
const plainPeriodMs = 2_000;

export class Display {
  readonly #frameOf: () => Frame;
  readonly #live = process.stdout.isTTY === true;
  readonly #update = createLogUpdate(process.stdout);
  #timer: NodeJS.Timeout | undefined;
  #lastPlainMs = Number.NEGATIVE_INFINITY;

  constructor(frameOf: () => Frame) {
    this.#frameOf = frameOf;
    // Whoever reads has seen enough, as `| head` has.
    process.stdout.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EPIPE") throw error;
      process.kill(process.pid, "SIGTERM");
    });
  }

  start(): void {
    this.#timer = setInterval(() => this.show(), framePeriodMs);
  }

  /** Leaves the last picture where it is. */
  stop(): void {
    clearInterval(this.#timer);
    if (this.#live) this.#update.done();
  }

  show(): void {
    const { elapsedMs, picture, plainLine } = this.#frameOf();
    if (this.#live) return this.#update(picture.join("\n"));
    if (elapsedMs - this.#lastPlainMs < plainPeriodMs) return;
    this.#lastPlainMs = elapsedMs;
    process.stdout.write(`${plainLine}\n`);
  }

  /** Something has happened; the live picture has it among its last lines. */
  tell(text: string): void {
    if (!this.#live) process.stdout.write(`${text}\n`);
  }

  /** The last word, below the last picture. */
  summarise(counts: Readonly<Record<string, number>>): void {
    const rows = Object.entries(counts).map(([name, value]) => name.padEnd(14) + String(value).padStart(9));
    process.stdout.write(`\n${rows.join("\n")}\n`);
  }
}
