/** The composition root: makes every stage and gives each the next. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import {
  type Clock,
  EquipoiseError,
  type Logger,
  reasonOf,
  type Service,
  systemClock,
  topics,
  version,
} from "@equipoise/shared";
import { type Auth, createAuth, requireSafety } from "./auth/index.ts";
import { BalancingFiles } from "./balancing/balancing-files.ts";
import { engineAddress, secured } from "./cluster/address.ts";
import { Cluster, type ClusterOptions } from "./cluster/cluster.ts";
import type { BrokerConfig } from "./config.ts";
import { ControlServer } from "./control/control-server.ts";
import { PoolOperations } from "./control/pool-operations.ts";
import { drain } from "./drain.ts";
import { Events } from "./events.ts";
import { Gate } from "./gate/gate.ts";
import { Inflow } from "./gate/inflow.ts";
import { BrokerHeartbeatSender } from "./health/broker-heartbeat.ts";
import { MemberReports } from "./health/member-reports.ts";
import { Operations } from "./http/index.ts";
import { Ingress } from "./ingress/ingress.ts";
import { Retained } from "./ingress/retained.ts";
import type { Journal } from "./journal/journal.ts";
import { MemoryJournal } from "./journal/memory.ts";
import { SqliteJournal } from "./journal/sqlite.ts";
import { createListener, Door, type Listener } from "./listener/index.ts";
import { type DeadLetterBook, DeadLetters } from "./pool/dead-letters.ts";
import { Pools } from "./pool/pools.ts";
import { everyUnlessLate } from "./punctual.ts";
import { Router } from "./router/router.ts";
import { Sessions } from "./session/sessions.ts";
import { Turn } from "./turn.ts";

export interface BrokerSurroundings {
  logger: Logger;
  clock?: Clock;
  /** Uniform in [0, 1). */
  random?: () => number;
}

/** How finely acknowledgement timeouts are kept, and how often members' health is checked. */
const expiryPeriodMs = 100;

export class Broker implements Service {
  readonly #config: BrokerConfig;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #random: () => number;
  readonly #events: Events;
  readonly #auth: Auth;
  readonly #balancing: BalancingFiles;
  readonly #listeners: Listener[];
  readonly #journal: Journal;
  readonly #pools: Pools;
  readonly #dead: DeadLetterBook;
  readonly #cluster: Cluster | undefined;
  readonly #retained: Retained;
  readonly #sessions: Sessions;
  readonly #gate: Gate;
  readonly #heartbeat: BrokerHeartbeatSender;
  readonly #operations: Operations;
  #cancelCleaning: (() => void) | undefined;
  #cancelExpiry: (() => void) | undefined;
  #control: ControlServer | undefined;
  #started = false;
  #stopped = false;

  /** @throws EquipoiseError EQ_ANONYMOUS_REFUSED */
  constructor(
    config: BrokerConfig,
    { logger, clock = systemClock, random = Math.random }: BrokerSurroundings,
  ) {
    this.#config = config;
    this.#logger = logger;
    this.#clock = clock;
    this.#random = random;
    requireSafety(config);
    const { limits } = config;
    const events = new Events(logger);
    this.#events = events;
    this.#auth = createAuth(config, { events, clock });
    const { authoriser, failures } = this.#auth;
    const balancing = new BalancingFiles(config.balancingFiles, random);
    this.#balancing = balancing;
    const turn = new Turn(clock);
    const router = new Router();
    const onReadFailed = (error: Error): void => noteFailure(events, error);
    this.#cluster = createCluster(config, {
      clock,
      turn,
      events,
      book: () => this.#pools,
      sessions: () => this.#sessions,
      router: () => router,
      random,
      onTuned: (pool, tuning) => this.#pools.tune(pool, tuning),
      onWills: (frames, stored) => ingress.publishFrames(frames, stored),
      onRelayed: (chunk) => ingress.relayed(chunk),
      onRetained: (topic, frame) => retained.apply(topic, frame),
      onStateChange: () => this.#started && this.#heartbeat.sendUp(),
    });
    const cluster = this.#cluster;
    this.#journal = cluster?.journal ?? createJournal(config, clock, events);
    const retained = new Retained({
      maxBytes: limits.maxRetainedBytes,
      keep: (topic, frame) => this.#journal.retain(topic, frame),
      onFull: (topic) =>
        events.emit({ event: "retained.full", topic, maxRetainedBytes: limits.maxRetainedBytes }),
    });
    const journal = this.#journal;
    this.#retained = retained;
    // The order in which stages are made is the order of their steps in a turn: ingress, pools, sessions, output.
    const ingress = new Ingress({
      router,
      journal,
      turn,
      retained,
      observe: (publisher, topic, payload) => {
        const session = publisher instanceof Inflow ? publisher.session : undefined;
        if (session !== undefined) reports.take(session, topic, payload);
      },
      onStoreFailed: (error) => {
        noteFailure(events, error);
        this.#operations.storeFailed(error);
      },
    });
    const maxPerPool = limits.maxDeadLetters;
    const publish = (topic: string, payload: Buffer): void =>
      ingress.publishOwn(topic, payload, { qos: 1, retain: false });
    const dead =
      cluster?.deadLetters({ maxPerPool, publish }) ??
      new DeadLetters({ journal, events, maxPerPool, publish });
    this.#dead = dead;
    this.#pools = new Pools({
      declared: config.pools,
      rules: config.routing,
      undeclared: config.undeclaredPools,
      ruled: (policy) => {
        const ruled = balancing.ruled(policy);
        return cluster?.tuned(ruled) ?? ruled;
      },
      dead,
      feed: cluster,
      maxHotBytes: limits.maxHotBytes,
      maxPools: limits.maxPools,
      router,
      journal,
      turn,
      events,
      clock,
      random,
      onReadFailed,
    });
    const pools = this.#pools;
    const reports = new MemberReports(pools, events);
    const sessions = new Sessions({
      limits: { ...limits, expireAfterMs: limits.sessionExpireAfterMs },
      router,
      pools,
      journal,
      neighbours: cluster,
      retained,
      turn,
      events,
      clock,
      onReadFailed,
    });
    this.#sessions = sessions;
    cluster?.join();
    const { brokerId } = config;
    this.#gate = new Gate({ brokerId, limits, turn, ingress, sessions, authoriser, events, clock });
    const gate = this.#gate;
    this.#heartbeat = new BrokerHeartbeatSender({
      brokerId,
      durability: config.durability,
      periodMs: config.heartbeatPeriodMs,
      clock,
      degraded: () => cluster?.degraded === true,
      publish: (topic, payload) =>
        ingress.publishOwn(topic, payload, { qos: 0, retain: true, fleeting: true }),
      counts: () => {
        const connections = gate.connectionCount;
        return {
          connections,
          received: ingress.received,
          delivered: sessions.delivered,
          pools: pools.report(),
        };
      },
    });
    this.#operations = new Operations({
      address: config.http,
      clock,
      commits: () => journal.stats().commits,
      degraded: () => cluster?.degraded === true,
      snapshot: () => ({
        events: events.counts,
        received: ingress.received,
        receivedBytes: ingress.receivedBytes,
        unmatched: ingress.unmatched,
        delivered: sessions.delivered,
        connections: gate.connectionCount,
        sessions: sessions.count,
        pools: pools.report(),
        journal: journal.stats(),
      }),
    });
    const door = new Door({
      limits,
      blocks: (address) => failures.blocks(address),
      onRefused: (address, reason) => events.emit({ event: "connection.refused", address, reason }),
    });
    const { allowedOrigins } = config.webSocket;
    const webSocket = { allowedOrigins, maxMessageBytes: 2 * limits.maxPacketBytes };
    const { tls } = config;
    this.#listeners = config.listen.map((url) => createListener(url, { tls, webSocket, door, clock }));
  }

  /** Recovers the journal, then listens; logs `ready` with the bound addresses. */
  async start(): Promise<void> {
    await this.#loadUsers();
    await this.#loadBalancing();
    const http = await this.#operations.start();
    const { queues, retained, sessions } = await this.#journal.start();
    this.#retained.recover(retained);
    this.#pools.start(this.#sessions.recover(sessions, queues));
    await this.#gate.start();
    this.#heartbeat.start();
    this.#started = true;
    const { removeAfterMs } = this.#config.undeclaredPools;
    const period = Math.min(1_000, Math.max(100, removeAfterMs / 4));
    // In a cluster a filter without members here may have some elsewhere.
    if (this.#cluster === undefined)
      this.#cancelCleaning = this.#clock.every(period, () => this.#pools.removeAbandoned());
    this.#cancelExpiry = everyUnlessLate(this.#clock, expiryPeriodMs, () => this.#pools.expire());
    await this.#startControl();
    const listen: string[] = [];
    for (const listener of this.#listeners) {
      listen.push(await listener.start((arrival) => this.#gate.accept(arrival)));
    }
    this.#operations.listening();
    const { brokerId: broker, durability } = this.#config;
    const dataDir = durability === "disk" ? { dataDir: resolve(this.#config.dataDir) } : {};
    const bound = http === undefined ? { listen } : { listen, http };
    this.#logger.info({ event: "ready", broker, version, ...bound, durability, ...dataDir });
  }

  /** The broker works without its control socket, too. */
  async #startControl(): Promise<void> {
    const path = controlPath(this.#config);
    if (path === undefined) return;
    const { brokerId } = this.#config;
    const control = new ControlServer(
      path,
      new PoolOperations(brokerId, this.#pools, this.#dead, this.#random, ({ policy }) =>
        this.#cluster?.shareTuning(policy),
      ),
    );
    try {
      await control.start();
      this.#control = control;
    } catch (error) {
      this.#events.emit({ event: "control.unavailable", path, reason: reasonOf(error) });
    }
  }

  /** Reads users, balancing files and certificates again; what is broken leaves in force what was read before. */
  async reload(): Promise<void> {
    await this.#attempt(async () => {
      await this.#loadUsers();
      this.#gate.reviewAccess();
    });
    await this.#attempt(() => this.#loadBalancing());
    await this.#attempt(async () => {
      for (const listener of this.#listeners) await listener.reload();
      this.#events.emit({ event: "certificates.loaded" });
    });
  }

  async #loadUsers(): Promise<void> {
    const { users } = this.#auth;
    const { usersFile: path } = this.#config;
    if (users === undefined || path === undefined) return;
    await users.load();
    this.#events.emit({ event: "users.loaded", path, users: users.count });
  }

  async #loadBalancing(): Promise<void> {
    const { length: files } = this.#config.balancingFiles;
    if (files === 0) return;
    const changed = await this.#balancing.load();
    this.#events.emit({ event: "balancing.loaded", files, changed: changed.length });
    for (const pool of changed) this.#pools.rule(pool);
  }

  async #attempt(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!(error instanceof EquipoiseError)) throw error;
      this.#events.emit({ event: "reload.failed", code: error.code, detail: error.message });
    }
  }

  /**
   * Accepts no more connections, drains, closes those that are left and writes the journal's last commit; within
   * `shutdownTimeoutMs`.
   */
  async stop(): Promise<void> {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#operations.stopping();
    this.#cancelCleaning?.();
    await this.#control?.stop();
    await Promise.all(this.#listeners.map((listener) => listener.stop()));
    if (this.#started) await this.#drain();
    this.#cancelExpiry?.();
    this.#started = false;
    this.#heartbeat.stop();
    // One turn more, so that the last heartbeat reaches the connections.
    await new Promise((done) => setImmediate(() => setImmediate(done)));
    await this.#gate.stop();
    await this.#journal.stop();
    await this.#operations.stop();
    this.#logger.info({ event: "stopped", broker: this.#config.brokerId });
  }

  async #drain(): Promise<void> {
    const { brokerId, shutdownTimeoutMs } = this.#config;
    const topic = topics.brokerHeartbeat(brokerId);
    this.#logger.info({ event: "draining", broker: brokerId });
    await drain({
      clock: this.#clock,
      shutdownTimeoutMs,
      begin: () => {
        for (const pool of this.#pools.all()) pool.rest();
        this.#heartbeat.drain();
      },
      holding: () => [...this.#pools.all()].some(({ holding }) => holding),
      followed: () => this.#gate.isHeard(topic),
    });
  }
}

/** Without a data directory there is only a control socket where one is asked for. */
function controlPath({ control, durability, dataDir }: BrokerConfig): string | undefined {
  if (control !== undefined) return resolve(control);
  return durability === "memory" ? undefined : join(resolve(dataDir), "control.sock");
}

/** @throws EquipoiseError EQ_CONFIG_BAD_VALUE */
function createCluster(
  config: BrokerConfig,
  surroundings: Omit<ClusterOptions, "address" | "minReplicas" | "name" | "brokerId">,
): Cluster | undefined {
  if (config.durability !== "cluster") return undefined;
  const { redis, cluster, brokerId } = config;
  const address = redis === undefined ? undefined : engineAddress(redis);
  if (address === undefined)
    throw new EquipoiseError("EQ_CONFIG_BAD_VALUE", "durability: cluster needs redis, as redis://HOST:PORT");
  const { name, minReplicas, caFile, sentinelPassword } = cluster;
  if (caFile !== undefined) Object.assign(address, secured({ ca: readAuthorities(caFile) }));
  if (sentinelPassword !== undefined) address.sentinelPassword = sentinelPassword;
  return new Cluster({ address, minReplicas, name, brokerId, ...surroundings });
}

/** @throws EquipoiseError EQ_TLS_UNUSABLE */
function readAuthorities(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new EquipoiseError("EQ_TLS_UNUSABLE", `${path}: ${reasonOf(error)}`, { cause: error });
  }
}

function createJournal(config: BrokerConfig, clock: Clock, events: Events): Journal {
  if (config.durability === "memory") return new MemoryJournal();
  return new SqliteJournal({
    path: join(resolve(config.dataDir), "journal.db"),
    clock,
    onSetAside: (setAside) => events.emit({ event: "journal.damaged", setAside }),
  });
}

function noteFailure(events: Events, error: Error): void {
  const code = error instanceof EquipoiseError ? error.code : "EQ_STORE_FAILED";
  events.emit({ event: "journal.failed", code, detail: error.message });
}
