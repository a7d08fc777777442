/** A demo without its brokers: clients, what is seen of them and of the brokers, a directory for all, and the end. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Clients, type ClientsOptions } from "./clients.ts";
import { Display, type Frame } from "./display.ts";
import { Heartbeats } from "./heartbeats.ts";

export interface ReplayOptions extends Omit<ClientsOptions, "onFailed"> {
  /** Of the demo, for its directory. */
  name: string;
  frame: () => Frame;
  /** Shows what has become of everything. @param missing the row for what members have not handled */
  summarise: (missing: Readonly<Record<string, number>>) => void;
}

export class Replay {
  readonly clients: Clients;
  readonly heartbeats = new Heartbeats();
  readonly display: Display;
  readonly #options: ReplayOptions;
  readonly #startedMs = performance.now();
  readonly #outcome = Promise.withResolvers<number>();
  readonly fail = (error: unknown): void => this.#outcome.reject(error);
  #directory: string | undefined;
  #started = false;
  #summarised = false;

  constructor(options: ReplayOptions) {
    this.#options = options;
    this.clients = new Clients({ ...options, onFailed: this.fail });
    this.display = new Display(options.frame);
  }

  /** Resolves with the exit code when a recording that is replayed once is through. */
  get ended(): Promise<number> {
    return this.#outcome.promise;
  }

  get elapsedMs(): number {
    return performance.now() - this.#startedMs;
  }

  /** Makes the directory for all that is kept. */
  async prepare(): Promise<string> {
    this.#directory = await mkdtemp(join(tmpdir(), `equipoise-${this.#options.name}-`));
    return this.#directory;
  }

  /** @param urls of the brokers @param directory from `prepare` */
  async start(urls: readonly string[], directory: string): Promise<void> {
    this.heartbeats.start(urls);
    await this.clients.start(urls, directory);
    this.#started = true;
    this.display.start();
    if (this.#options.once) this.#finish().catch(this.fail);
  }

  /** To be called before the brokers stop, so that whatever is accepted is also delivered. */
  async stop(): Promise<void> {
    this.display.stop();
    await this.clients.stop();
    await this.heartbeats.stop();
  }

  /** Once the brokers have stopped: removes what was kept. */
  async remove(): Promise<void> {
    if (this.#directory !== undefined) await rm(this.#directory, { recursive: true, force: true });
    // Stopped in between, what was not delivered waits in the pool: that is not lost.
    if (this.#started) this.#summarise("left in pool");
  }

  async #finish(): Promise<void> {
    await this.clients.settled();
    this.display.show();
    this.display.stop();
    this.#summarise("lost");
    this.#outcome.resolve(this.clients.missing === 0 ? 0 : 1);
  }

  #summarise(missing: "lost" | "left in pool"): void {
    if (!this.#summarised) this.#options.summarise({ [missing]: this.clients.missing });
    this.#summarised = true;
  }
}
