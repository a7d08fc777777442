/**
 * The connections to Redis. It is away when one is closed, or has not answered for `silenceMs`, or when it refuses to
 * write because it is not the primary any more; what was asked then fails with EQ_ENGINE_AWAY, and the engine is tried
 * again until it is back. What is asked of it is answered in order, on one connection.
 */
import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import { type Clock, EquipoiseError, type ErrorCode, reasonOf } from "@equipoise/shared";
import { Redis, type RedisOptions } from "ioredis";
import { Confirmation } from "./confirmation.ts";
import { Questions } from "./questions.ts";
import { type ScriptName, scripts } from "./scripts/index.ts";

/** The engine's own word, as far as brokers use it. */
export type Reply = Buffer | number | null | Reply[];
export type Argument = string | number | Buffer;

/** Longest silence after a question. With the pause between two heartbeats it is to be noticed within a second. */
const silenceMs = 700;
const silenceCheckMs = 50;
/** Also a connection on which nothing happens may have stopped. */
const pingMs = 1_000;
/** Time for a new connection to be of use. */
const patienceMs = 1_500;
const connectTimeoutMs = 1_000;
const retryMs = 100;
const oldestMajorVersion = 7;

export interface EngineOptions {
  /** Where it is, as `engineAddress` reads it. */
  address: RedisOptions;
  clock: Clock;
  /** The engine answers again: called before anything else can be asked, with its scripts loaded. */
  onHere: () => void;
  onAway: (reason: string) => void;
  /** Listened to all the time. */
  channels: readonly string[];
  onMessage: (channel: string, message: Buffer) => void;
}

const hashes = Object.fromEntries(
  Object.entries(scripts).map(([name, text]) => [name, createHash("sha1").update(text).digest("hex")]),
) as Record<ScriptName, string>;

export class Engine {
  readonly #options: EngineOptions;
  readonly #main: Redis;
  /** Waits for messages of queues that were empty. */
  readonly #watch: Redis;
  readonly #news: Redis;
  readonly #connections: readonly Redis[];
  readonly #confirmation: Confirmation;
  #here = false;
  #started = false;
  #triedAtMs = 0;
  #stopped = false;
  #watchId = 0;
  #lastReason = "";
  /** Why it is of no use although it is there, as far as was said. */
  #toldReason = "";
  readonly #questions: ReadonlyMap<Redis, Questions>;
  #checkedAtMs = 0;
  #pingedAtMs = 0;
  #cancelCheck: (() => void) | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#confirmation = new Confirmation(options.address, options.clock);
    const common = {
      ...options.address,
      lazyConnect: true,
      connectTimeout: connectTimeoutMs,
      enableOfflineQueue: false,
      autoResendUnfulfilledCommands: false,
      maxRetriesPerRequest: 0,
      retryStrategy: () => (this.#stopped ? null : retryMs),
      sentinelRetryStrategy: () => (this.#stopped || !this.#started ? null : retryMs),
      sentinelMaxConnections: 10,
      protocol: 2 as const,
      replyMapping: "legacy" as const,
      disableClientInfo: true,
    };
    this.#main = new Redis(common);
    this.#watch = new Redis(common);
    // ioredis would subscribe anew by itself, and leave the failure to nobody when the connection ends meanwhile.
    this.#news = new Redis({ ...common, autoResubscribe: false });
    this.#connections = [this.#main, this.#watch, this.#news];
    this.#questions = new Map(this.#connections.map((connection) => [connection, new Questions()]));
    for (const connection of this.#connections) {
      connection.on("error", (error: Error) => {
        this.#lastReason = reasonOf(error);
      });
    }
  }

  /** It answers. */
  get here(): boolean {
    return this.#here;
  }

  /** It is the primary without doubt: what enough replicas have is safe. */
  get undisputed(): boolean {
    return this.#confirmation.given;
  }

  /** @throws EquipoiseError EQ_ENGINE_AWAY, EQ_ENGINE_UNFIT */
  async start(): Promise<void> {
    const { clock, channels, onMessage } = this.#options;
    try {
      for (const connection of this.#connections) await connection.connect();
      await this.#news.subscribe(...channels);
    } catch (error) {
      await this.stop();
      throw new EquipoiseError("EQ_ENGINE_AWAY", this.#lastReason || reasonOf(error), { cause: error });
    }
    this.#news.on("messageBuffer", (channel: Buffer, message: Buffer) =>
      onMessage(channel.toString(), message),
    );
    try {
      await this.#requireFitness();
    } catch (error) {
      await this.stop();
      throw error;
    }
    await this.#prepare();
    this.#started = true;
    for (const connection of this.#connections) {
      connection.on("close", () => this.#leave(this.#lastReason || "the connection was closed"));
      connection.on("ready", () => void this.#return());
    }
    this.#cancelCheck = clock.every(silenceCheckMs, () => this.#checkSilence());
  }

  /** @throws EquipoiseError EQ_ENGINE_UNFIT */
  async #requireFitness(): Promise<void> {
    const info = await this.#main.info();
    const version = /^redis_version:(\S+)/m.exec(info)?.[1] ?? "unknown";
    const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? "noeviction";
    const major = Number(version.split(".")[0]);
    let fault: string | undefined;
    if (!(major >= oldestMajorVersion))
      fault = `version ${version}, needed is ${oldestMajorVersion}.0 or newer`;
    else if (policy !== "noeviction") fault = `maxmemory-policy ${policy} would drop acknowledged messages`;
    if (fault !== undefined) throw new EquipoiseError("EQ_ENGINE_UNFIT", fault);
  }

  /** Loads the scripts; from then on the engine is here. */
  async #prepare(): Promise<void> {
    const loaded = Object.values(scripts).map((text) => this.#main.script("LOAD", text));
    await Promise.all(loaded);
    this.#watchId = await this.#watch.client("ID");
    const { remoteAddress: host = "", remotePort: port = 0 } = this.#main.stream as Socket;
    this.#confirmation.begin({ host, port });
    this.#lastReason = "";
    this.#toldReason = "";
    this.#here = true;
    this.#options.onHere();
  }

  async #return(): Promise<void> {
    if (this.#here || this.#connections.some(({ status }) => status !== "ready")) return;
    try {
      // It may be another one than before, or have been configured anew.
      await this.#requireFitness();
      await this.#news.subscribe(...this.#options.channels);
      await this.#prepare();
    } catch (error) {
      this.#lastReason = reasonOf(error);
      if (error instanceof EquipoiseError) this.#tellUnfit();
      this.#reconnect();
    }
  }

  /** It is there, but of no use: said once. */
  #tellUnfit(): void {
    if (this.#toldReason === this.#lastReason || this.#stopped) return;
    this.#toldReason = this.#lastReason;
    this.#options.onAway(this.#lastReason);
  }

  #leave(reason: string): void {
    if (!this.#here) return;
    this.#here = false;
    this.#confirmation.revoke();
    for (const questions of this.#questions.values()) questions.forget();
    this.#reconnect();
    if (!this.#stopped) this.#options.onAway(reason);
  }

  /** All begin anew together: what was asked on one of them may be about what happened on another. */
  #reconnect(): void {
    this.#triedAtMs = this.#options.clock.monotonicMs();
    for (const connection of this.#connections) {
      // Not `disconnect`: that waits for the other side, which may be frozen.
      if (connection.status === "end") connection.connect().catch(() => {});
      else if (connection.stream?.destroyed === false) connection.stream.destroy();
    }
  }

  #checkSilence(): void {
    const nowMs = this.#options.clock.monotonicMs();
    const lateMs = nowMs - this.#checkedAtMs - silenceCheckMs;
    this.#checkedAtMs = nowMs;
    // One that is frozen lets itself be connected to, and there may be another primary by now.
    if (!this.#here && nowMs - this.#triedAtMs > patienceMs) this.#reconnect();
    if (!this.#here) return;
    for (const [connection, questions] of this.#questions) {
      // After a pause of ours there may be answers that nobody has read.
      if (lateMs > silenceCheckMs) questions.excuse(nowMs);
      if (questions.silenceMs(nowMs, connection.stream?.bytesRead ?? 0) > silenceMs)
        return this.#leave(`no answer within ${silenceMs} ms`);
    }
    if (nowMs - this.#pingedAtMs > pingMs) this.#ping(nowMs);
  }

  /** On the other connections there are questions all the time. */
  #ping(nowMs: number): void {
    this.#pingedAtMs = nowMs;
    // That it failed is found out by the end of the connection, or by the silence.
    this.#ask(this.#news, 0, () => this.#news.ping()).catch(() => {});
  }

  async #ask<T>(connection: Redis, waitMs: number, ask: () => Promise<T>): Promise<T> {
    const questions = this.#questions.get(connection) as Questions;
    const question = questions.begin(this.#options.clock.monotonicMs(), waitMs);
    try {
      return await ask();
    } finally {
      questions.end(question);
    }
  }

  /**
   * Runs a script.
   * @throws EquipoiseError EQ_ENGINE_AWAY, EQ_STORE_FULL, EQ_STORE_FAILED
   */
  run(script: ScriptName, keys: readonly string[], args: readonly Argument[]): Promise<Reply> {
    return this.ask("EVALSHA", hashes[script], keys.length, ...keys, ...args);
  }

  /** @throws EquipoiseError EQ_ENGINE_AWAY, EQ_STORE_FULL, EQ_STORE_FAILED */
  async ask(command: string, ...args: Argument[]): Promise<Reply> {
    if (!this.#here) throw new EquipoiseError("EQ_ENGINE_AWAY", "the engine is away");
    try {
      return (await this.#ask(this.#main, 0, () => this.#main.callBuffer(command, ...args))) as Reply;
    } catch (error) {
      throw this.#judge(error);
    }
  }

  /** Waits up to `waitMs` for what a blocking command brings. @throws EquipoiseError as `ask` */
  async watch(waitMs: number, command: string, ...args: Argument[]): Promise<Reply> {
    if (!this.#here) throw new EquipoiseError("EQ_ENGINE_AWAY", "the engine is away");
    try {
      return (await this.#ask(this.#watch, waitMs, () => this.#watch.callBuffer(command, ...args))) as Reply;
    } catch (error) {
      throw this.#judge(error);
    }
  }

  /** It answers, but may not be the primary any more: where Sentinels know which one is, they are asked again. */
  doubt(reason: string): void {
    if (this.#options.address.sentinels !== undefined) this.#leave(reason);
  }

  /** Ends the wait that is under way; false if there was none yet. */
  async wakeWatch(): Promise<boolean> {
    return (await this.ask("CLIENT", "UNBLOCK", this.#watchId)) === 1;
  }

  #judge(error: unknown): EquipoiseError {
    const reason = reasonOf(error);
    const code = codeOf(error);
    if (code === "EQ_ENGINE_AWAY") this.#leave(reason);
    return new EquipoiseError(code, reason, { cause: error });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#here = false;
    this.#cancelCheck?.();
    this.#confirmation.revoke();
    for (const connection of this.#connections) connection.disconnect();
  }
}

/** A demoted or loading engine is as good as none; one that is full or cannot write answers, and refuses. */
function codeOf(error: unknown): ErrorCode {
  if (!(error instanceof Error) || error.name !== "ReplyError") return "EQ_ENGINE_AWAY";
  if (/^(READONLY|LOADING|MASTERDOWN|NOSCRIPT)\b/.test(error.message)) return "EQ_ENGINE_AWAY";
  if (error.message.startsWith("LAYOUT")) return "EQ_QUEUE_LAYOUT";
  return /\bOOM\b/.test(error.message) ? "EQ_STORE_FULL" : "EQ_STORE_FAILED";
}
