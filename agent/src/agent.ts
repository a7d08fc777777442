/** The agent put together: sources into the buffer, the buffer into the uplink, telemetry beside them. */
import type { Readable } from "node:stream";
import { type AgentHeartbeat, type Clock, exitCodes, type Logger, type Service } from "@equipoise/shared";
import { SqliteBuffer } from "./buffer/sqlite-buffer.ts";
import { DeviceClock } from "./clock/device-clock.ts";
import type { AgentConfig } from "./config.ts";
import { Operations } from "./operations.ts";
import { type Counts, Progress } from "./progress.ts";
import type { TickSink } from "./source/source.ts";
import { Sources } from "./source/sources.ts";
import type { Stages } from "./systemd/liveness.ts";
import { DeviceProbe } from "./telemetry/device.ts";
import { Heartbeat } from "./telemetry/heartbeat.ts";
import { writtenBytes } from "./telemetry/written.ts";
import { Certificates } from "./uplink/certificates.ts";
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
  readonly #sources: Sources;
  readonly #buffer: SqliteBuffer;
  readonly #certificates: Certificates;
  readonly #uplink: Uplink;
  readonly #heartbeat: Heartbeat;
  readonly #deviceClock: DeviceClock;
  readonly #progress: Progress;
  readonly #operations: Operations;
  readonly #end = Promise.withResolvers<number>();
  #starting: Promise<void> | undefined;
  /** Sources that wait for room. */
  #intakeWaits = 0;
  #opened = false;
  #stopping = false;

  /** @throws EquipoiseError EQ_CONFIG_BAD_VALUE, EQ_TLS_UNUSABLE */
  constructor(options: AgentOptions) {
    const { config, clock, random, logger } = options;
    const { agentId, dataDir: directory } = config;
    this.#options = options;
    this.ended = this.#end.promise;
    this.ended.catch(() => undefined); // it may fail before anybody has begun to await it
    this.#sources = new Sources({
      ...options,
      specs: config.source,
      speed: config.speed,
      directory,
      marks: {
        of: (...stream) => this.#buffer.marks.of(...stream),
        readUntil: (...read) => this.#buffer.marks.readUntil(...read),
      },
    });
    this.#buffer = new SqliteBuffer({ ...config.buffer, agentId, directory, clock, random, logger });
    this.#deviceClock = new DeviceClock(clock, logger);
    this.#certificates = new Certificates(config.uplink, logger);
    this.#uplink = new Uplink({
      ...config.uplink,
      agentId,
      urls: config.broker,
      tls: () => this.#certificates.current(),
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
    this.#progress = new Progress({
      periodMs: config.progressPeriodMs,
      clock,
      logger,
      count: () => this.#counts(),
      done: () => this.#done(),
    });
    this.#operations = this.#createOperations();
  }

  /** @throws EquipoiseError of the sources and of the buffer */
  async start(): Promise<void> {
    this.#starting = this.#begin();
    await this.#starting;
  }

  /** A stop meanwhile waits for the stage that is under way, and stops what there is. */
  async #begin(): Promise<void> {
    await this.#open();
    if (this.#stopping) return;
    const { config, logger } = this.#options;
    this.#buffer.failed.catch((error: unknown) => this.#end.reject(error));
    const http = await this.#operations.start();
    if (this.#stopping) return;
    this.#uplink.start();
    this.#heartbeat.start();
    this.#progress.start();
    this.#sources.start(this.#sink(), this.#end.reject);
    const { agentId: agent, dataDir } = config;
    const fields = {
      agent,
      epoch: this.#buffer.epoch,
      sources: this.#sources.status().map(({ spec }) => spec),
      dataDir,
      waiting: this.#buffer.stats().ticks,
      ...(http === undefined ? {} : { http }),
    };
    logger.info({ event: "ready", ...fields }, "ready");
    if (config.once)
      this.#endOnce().catch((error: unknown) => {
        if (!this.#stopping) this.#end.reject(error); // else the stop says it, with the number of ticks
      });
  }

  /** Reads the certificate files again; where they have changed, the connection is made anew with them. */
  async reload(): Promise<void> {
    const changed = this.#certificates.reload();
    if (changed === undefined) return;
    this.#options.logger.info({ event: "reloaded", changed }, "the certificate files were read again");
    if (changed) await this.#uplink.renew();
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#starting?.catch(() => undefined); // whoever has called start is told
    if (!this.#opened) return;
    this.#heartbeat.drain();
    this.#operations.close();
    await this.#endSources();
    // What the broker does not take now stays in the buffer; half of the time is left for closing.
    await this.#uplink.drain(this.#options.config.shutdownTimeoutMs / 2);
    await this.#heartbeat.stop();
    await this.#uplink.stop();
    await this.#operations.stop();
    await this.#buffer.stop().finally(() => this.#progress.stop());
  }

  /** The sources first: a wrong path should not cost anything else. */
  async #open(): Promise<void> {
    await this.#sources.open();
    await this.#buffer.start();
    this.#opened = true;
  }

  /** What has arrived already is taken, as long as there is room; a buffer at its bound lets nobody wait for that. */
  async #endSources(): Promise<void> {
    const { config, clock } = this.#options;
    const graceMs = config.shutdownTimeoutMs / 5;
    this.#sources.stop(graceMs);
    if (this.#buffer.stats().state !== "open") this.#buffer.endIntake();
    const cancel = clock.after(graceMs, () => this.#buffer.endIntake());
    await this.#sources.ended();
    cancel();
    this.#buffer.endIntake();
  }

  /** What is stuck, or undefined. */
  stalled(): string | undefined {
    return this.#operations.stalled();
  }

  /** The buffer, with an eye on how old the trades are that come. */
  #sink(): TickSink {
    return {
      put: (trade) => {
        this.#deviceClock.observe(trade);
        return this.#buffer.put(trade);
      },
      gap: (gap) => this.#buffer.gap(gap),
      room: () => this.#room(),
    };
  }

  #createOperations(): Operations {
    return new Operations({
      ...this.#options,
      archive: this.#buffer,
      channel: this.#uplink,
      sources: this.#sources,
      state: () => this.#heartbeat.report(),
      stages: () => this.#stages(),
      failed: this.#end.reject,
    });
  }

  async #room(): Promise<boolean> {
    this.#intakeWaits += 1;
    const hasRoom = await this.#buffer.room();
    this.#intakeWaits -= 1;
    return hasRoom;
  }

  #stages(): Stages {
    const { full, uncommitted, refused } = this.#buffer.intake();
    const { safe, ticks: waiting } = this.#buffer.stats();
    const intakeWaits = this.#intakeWaits > 0 && !full;
    return { intakeWaits, uncommitted: refused ? 0 : uncommitted, safe, waiting, ...this.#uplink.stats() };
  }

  async #endOnce(): Promise<void> {
    const endedWell = await this.#sources.ended();
    await this.#buffer.flush();
    await this.#uplink.drained();
    this.#end.resolve(endedWell ? exitCodes.ok : exitCodes.failed);
  }

  #counts(): Counts {
    const sources = this.#sources.status();
    const { published, repeated, acknowledged } = this.#uplink.stats();
    const { safe, ticks } = this.#buffer.stats();
    return {
      read: sources.reduce((sum, source) => sum + source.ticks, 0),
      skipped: sources.reduce((sum, source) => sum + source.skipped, 0),
      gaps: sources.reduce((sum, source) => sum + source.gaps, 0),
      buffered: safe,
      published,
      repeated,
      acknowledged,
      waiting: ticks,
    };
  }

  #done(): number | null {
    const shares = this.#sources
      .status()
      .map(({ done }) => done)
      .filter((share) => share !== null);
    if (shares.length === 0) return null;
    return Math.round((shares.reduce((sum, share) => sum + share, 0) / shares.length) * 1000) / 1000;
  }

  #observe(): Pick<AgentHeartbeat, "buffer" | "uplink" | "sources" | "clock"> {
    const { state, ticks, bytes, oldestAgeMs, lost, safe, setAside } = this.#buffer.stats();
    const written = writtenBytes();
    const writtenBytesPerTick = written === null || safe === 0 ? null : Math.round(written / safe);
    const { connected, broker, inFlight, acknowledged, reconnects } = this.#uplink.stats();
    return {
      buffer: {
        state,
        ticks,
        bytes,
        oldestAgeMs,
        lost,
        setAside,
        writtenBytes: written,
        writtenBytesPerTick,
      },
      clock: this.#deviceClock.report(),
      uplink: { connected, broker, inFlight, acknowledged, reconnects },
      sources: this.#sources.status().map(({ done: _, ...source }) => source),
    };
  }
}
