/** The service behind `equipoise-consume`: a consumer whose handler shows every record. */
import { systemClock } from "../../clock.ts";
import { reasonOf } from "../../errors.ts";
import { createLogger, type Logger, stderrStream } from "../../log.ts";
import type { Service } from "../../service.ts";
import type { TickRecord } from "../../tick.ts";
import { readTlsFiles } from "../../tls.ts";
import type { Consumer, ConsumerEvent, ConsumerOptions, RecordContext } from "../consumer.ts";
import { subscribe } from "../exclusive-consumer.ts";
import type { MissingTicks } from "../missing.ts";
import { joinPool } from "../pool-consumer.ts";
import { JsonOutput } from "./json-output.ts";
import type { Output } from "./output.ts";
import type { ConsumeConfig } from "./settings.ts";
import { TableOutput } from "./table-output.ts";

/** Leaves time for the disconnection after the handlers. */
const drainShare = 0.8;

export class Consume implements Service {
  readonly ended: Promise<number>;
  readonly #config: ConsumeConfig;
  readonly #consumer: Consumer;
  readonly #output: Output;
  readonly #log: Logger;
  readonly #end: (code: number) => void;
  #begun = 0;
  #ready = false;

  /** @throws EquipoiseError EQ_CONFIG_BAD_VALUE, EQ_TOPIC_INVALID, EQ_TLS_UNUSABLE */
  constructor(config: ConsumeConfig) {
    const { promise, resolve } = Promise.withResolvers<number>();
    this.ended = promise;
    this.#end = resolve;
    this.#config = config;
    readTlsFiles(config); // what is wrong from the beginning is said at once
    this.#consumer = this.#makeConsumer();
    const table = config.format === "table" || (config.format === "auto" && process.stdout.isTTY);
    this.#output = table
      ? new TableOutput(process.stdout, systemClock, () => this.#consumer.stats)
      : new JsonOutput(process.stdout);
    // On one terminal the log would run through the table, which shows the same.
    const level = table && process.stderr.isTTY ? "silent" : "info";
    this.#log = createLogger({ name: "equipoise-consume", level, stream: stderrStream() });
  }

  async start(): Promise<void> {
    process.stdout.on("error", (error: NodeJS.ErrnoException) => this.#onOutputError(error));
    this.#output.start();
    try {
      await this.#consumer.start();
    } catch (error) {
      this.#output.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    await this.#consumer.stop();
    this.#output.stop();
    const { received, handled, repeats, rejected } = this.#consumer.stats;
    this.#log.info({ event: "ended", received, handled, repeats, rejected });
  }

  #makeConsumer(): Consumer {
    const { pool, concurrency, clientId, username, password } = this.#config;
    const options: ConsumerOptions = {
      broker: this.#config.broker,
      filter: this.#config.filter,
      weight: this.#config.weight,
      drainTimeoutMs: Math.ceil(this.#config.shutdownTimeoutMs * drainShare),
      handler: (record, context) => this.#handle(record, context),
      onEvent: (event) => this.#onEvent(event),
      ...(clientId === undefined ? {} : { clientId }),
      ...(username === undefined ? {} : { username }),
      ...(password === undefined ? {} : { password }),
      tls: () => readTlsFiles(this.#config),
    };
    if (pool !== undefined) return joinPool({ ...options, pool, concurrency });
    return subscribe({
      ...options,
      resend: this.#config.holes === "resend",
      onGap: (missing) => this.#onGap(missing),
    });
  }

  async #handle(record: TickRecord, { topic }: RecordContext): Promise<void> {
    const { workMs, count } = this.#config;
    this.#begun += 1;
    if (this.#begun === count) this.#finish();
    if (workMs > 0) await new Promise((resolve) => setTimeout(resolve, workMs));
    const handledTimeUs = systemClock.wallMs() * 1_000;
    const latencyMs = record.type === "trade" ? (handledTimeUs - record.receivedTimeUs) / 1_000 : undefined;
    const member = this.#consumer.clientId;
    await this.#output.show({
      record,
      topic,
      member,
      handledTimeUs,
      ...(latencyMs === undefined ? {} : { latencyMs }),
    });
  }

  async #onGap(missing: MissingTicks): Promise<void> {
    const { record: _, ...fields } = missing;
    this.#log.warn({ event: "missing", ...fields });
    await this.#output.showMissing(missing);
  }

  #onEvent(event: ConsumerEvent): void {
    this.#output.onEvent(event);
    const { event: name, ...fields } = event;
    if (name === "joined" && !this.#ready) {
      this.#ready = true;
      this.#log.info({ event: "ready", pool: this.#config.pool, ...fields });
      return;
    }
    const level = name === "joined" || name === "draining" || name === "resent" ? "info" : "warn";
    this.#log[level]({ event: name, ...fields });
  }

  /** A reader that has seen enough (`| head`) is a normal end. */
  #onOutputError(error: NodeJS.ErrnoException): void {
    if (error.code !== "EPIPE") this.#log.error({ event: "outputFailed", reason: reasonOf(error) });
    this.#finish(error.code === "EPIPE" ? 0 : 1);
  }

  /** What only waits goes back to the broker; what was begun is finished first. */
  #finish(code = 0): void {
    void this.#consumer.stop("running").then(() => this.#end(code));
  }
}
