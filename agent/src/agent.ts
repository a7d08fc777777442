/** The agent put together: sources into the buffer, the buffer into the uplink, telemetry beside them. */
import type { Readable } from "node:stream";
import {
  type AgentHeartbeat,
  type Clock,
  EquipoiseError,
  exitCodes,
  type Logger,
  readTlsFiles,
  type Service,
} from "@equipoise/shared";
import { SqliteBuffer } from "./buffer/sqlite-buffer.ts";
import type { AgentConfig } from "./config.ts";
import { type Counts, Progress } from "./progress.ts";
import { createSource } from "./source/create.ts";
import type { Source } from "./source/source.ts";
import { DeviceProbe } from "./telemetry/device.ts";
import { Heartbeat } from "./telemetry/heartbeat.ts";
import { Uplink } from "./uplink/uplink.ts";

export interface AgentOptions {
  config: AgentConfig;
  logger: Logger;
  clock: Clock;
  /** Uniform in [0, 1). */
  random: () => number;
  stdin: Readable;
}

export class Agent implements Service {
  /** The exit code when the agent ends by itself; rejects when the buffer cannot go on. */
  readonly ended: Promise<number>;
  readonly #options: AgentOptions;
  readonly #sources: Source[];
  readonly #buffer: SqliteBuffer;
  readonly #uplink: Uplink;
  readonly #heartbeat: Heartbeat;
  readonly #progress: Progress;
  readonly #end = Promise.withResolvers<number>();
  #starting: Promise<void> | undefined;
  #runs: Promise<boolean[]> = Promise.resolve([]);
  #stopping = false;

  /** @throws EquipoiseError EQ_CONFIG_BAD_VALUE, EQ_TLS_UNUSABLE */
  constructor(options: AgentOptions) {
    const { config, clock, random, logger } = options;
    const { agentId, dataDir: directory } = config;
    this.#options = options;
    this.ended = this.#end.promise;
    this.ended.catch(() => undefined); // it may fail before anybody has begun to await it
    this.#sources = config.source.map((text) => createSource(text, { ...options, speed: config.speed }));
    this.#buffer = new SqliteBuffer({ ...config.buffer, agentId, directory, clock, random, logger });
    this.#uplink = new Uplink({
      ...config.uplink,
      agentId,
      urls: config.broker,
      tls: readTlsFiles(config.uplink),
      will: () => this.#heartbeat.will(),
      connected: () => this.#heartbeat.publish(),
      queue: this.#buffer,
      clock,
      random,
      logger,
    });
    this.#heartbeat = new Heartbeat({
      agentId,
      periodMs: config.heartbeatMs,
      clock,
      probe: new DeviceProbe(directory, clock, logger),
      observe: () => this.#observe(),
      publish: (topic, payload) => this.#uplink.publishStatus(topic, payload),
    });
    this.#progress = new Progress(
      clock,
      logger,
      () => this.#counts(),
      () => this.#done(),
    );
  }

  /** @throws EquipoiseError of the sources and of the buffer */
  async start(): Promise<void> {
    this.#starting = this.#open();
    await this.#starting;
    if (this.#stopping) return;
    const { config, logger } = this.#options;
    this.#buffer.failed.catch((error: unknown) => this.#end.reject(error));
    this.#uplink.start();
    this.#heartbeat.start();
    this.#progress.start();
    this.#runs = Promise.all(this.#sources.map((source) => this.#run(source)));
    const { agentId: agent, source: sources, dataDir } = config;
    const fields = {
      agent,
      epoch: this.#buffer.epoch,
      sources,
      dataDir,
      waiting: this.#buffer.stats().ticks,
    };
    logger.info({ event: "ready", ...fields }, "ready");
    if (config.once) this.#endOnce().catch((error: unknown) => this.#end.reject(error));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    const started = await this.#starting?.then(
      () => true,
      () => false,
    );
    if (started !== true) return;
    this.#heartbeat.drain();
    for (const source of this.#sources) source.stop();
    this.#buffer.endIntake();
    await this.#runs;
    // What the broker does not take now stays in the buffer; half of the time is left for closing.
    await this.#uplink.drain(this.#options.config.shutdownTimeoutMs / 2);
    await this.#heartbeat.stop();
    await this.#uplink.stop();
    await this.#buffer.stop().finally(() => this.#progress.stop());
  }

  /** The sources first: a wrong path should not cost anything else. */
  async #open(): Promise<void> {
    for (const source of this.#sources) await source.open();
    await this.#buffer.start();
  }

  /** @returns whether the source ended well; one that fails does not take the others with it */
  async #run(source: Source): Promise<boolean> {
    try {
      await source.run(this.#buffer);
      return true;
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      this.#options.logger.error(
        { event: "sourceFailed", code: error.code, source: source.status().spec },
        error.line,
      );
      return false;
    }
  }

  async #endOnce(): Promise<void> {
    const ran = await this.#runs;
    await this.#buffer.flush();
    await this.#uplink.drained();
    this.#end.resolve(ran.every(Boolean) ? exitCodes.ok : exitCodes.failed);
  }

  #counts(): Counts {
    const sources = this.#sources.map((source) => source.status());
    const { published, repeated, acknowledged } = this.#uplink.stats();
    const { committed, ticks } = this.#buffer.stats();
    return {
      read: sources.reduce((sum, source) => sum + source.ticks, 0),
      skipped: sources.reduce((sum, source) => sum + source.skipped, 0),
      gaps: sources.reduce((sum, source) => sum + source.gaps, 0),
      buffered: committed,
      published,
      repeated,
      acknowledged,
      waiting: ticks,
    };
  }

  #done(): number | null {
    const shares = this.#sources.map((source) => source.status().done).filter((share) => share !== null);
    if (shares.length === 0) return null;
    return Math.round((shares.reduce((sum, share) => sum + share, 0) / shares.length) * 1000) / 1000;
  }

  #observe(): Pick<AgentHeartbeat, "buffer" | "uplink" | "sources"> {
    const { ticks, bytes, nextBufferedTimeMs } = this.#buffer.stats();
    const { connected, broker, inFlight, acknowledged, reconnects, oldestBufferedTimeMs } =
      this.#uplink.stats();
    const oldestMs = oldestBufferedTimeMs ?? nextBufferedTimeMs;
    const oldestAgeMs =
      oldestMs === null ? null : Math.max(0, Math.floor(this.#options.clock.wallMs()) - oldestMs);
    return {
      buffer: { ticks, bytes, oldestAgeMs },
      uplink: { connected, broker, inFlight, acknowledged, reconnects },
      sources: this.#sources.map((source) => {
        const { spec, state, ticks: read, skipped, gaps } = source.status();
        return { spec, state, ticks: read, skipped, gaps };
      }),
    };
  }
}
