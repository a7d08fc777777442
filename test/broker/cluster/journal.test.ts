/** The third driver of the journal's contract, with and without order by key. */
import { systemClock } from "@equipoise/shared";
import { pino } from "pino";
import { type Test, test } from "tap";
import { engineAddress } from "../../../broker/src/cluster/address.ts";
import { Cluster } from "../../../broker/src/cluster/cluster.ts";
import { Events } from "../../../broker/src/events.ts";
import type { Journal, KeptSession, QueueId, Recovery } from "../../../broker/src/journal/journal.ts";
import type { Slice } from "../../../broker/src/journal/slice.ts";
import { Backlog } from "../../../broker/src/pool/backlog.ts";
import { Router } from "../../../broker/src/router/router.ts";
import { Turn } from "../../../broker/src/turn.ts";
import { cli, startRedis, type TestRedis } from "../../support/redis.ts";
import { until } from "../../support/time.ts";
import { type Bench, type FedBench, journalConformance } from "../journal-conformance.ts";
import { skip } from "./brokers.ts";

const wanted = 1_000;

/** A queue's end in a broker, which takes whatever it is given. */
class Collector extends Backlog {
  readonly pool: string;
  readonly filter: string;
  readonly slices: Slice[] = [];

  constructor(journal: Journal, id: QueueId, pool: string, filter: string) {
    const nothing = (): void => {};
    const limits = { maxBytes: 2 ** 30, maxHotBytes: Number.POSITIVE_INFINITY };
    super({ limits, journal, queue: id, onReady: nothing, onReadFailed: nothing, fed: true });
    this.pool = pool;
    this.filter = filter;
  }

  override push(slice: Slice): void {
    this.slices.push(slice);
    super.push(slice);
  }
}

/** The cluster's side of one broker, without clients. */
class LoneCluster {
  readonly cluster: Cluster;
  readonly collectors = new Map<QueueId, Collector>();
  readonly retained = new Map<string, Buffer>();
  readonly sessions = new Map<string, KeptSession>();
  readonly #key: string | undefined;

  constructor(url: string, key: string | undefined) {
    this.#key = key;
    const nothing = (): void => {};
    const router = new Router();
    const turn = new Turn(systemClock);
    this.cluster = new Cluster({
      ...{ address: engineAddress(url) ?? {}, minReplicas: 0, name: "default", brokerId: "a" },
      ...{ clock: systemClock, turn, events: new Events(pino({ level: "silent" })), random: Math.random },
      book: () => ({
        meet: (pool, filter) => void this.open(pool, filter),
        forget: nothing,
        declaration: () => undefined,
        retention: () => ({ afterMs: 3_600_000, atEnd: "remove" }),
      }),
      sessions: () => ({
        adopt: (kept) => this.sessions.set(kept.clientId, kept),
        forget: (clientId) => this.sessions.delete(clientId),
        ...{ takenOver: nothing, left: nothing, connected: () => [], kept: () => this.sessions.values() },
      }),
      router: () => router,
      onRetained: (topic, frame) =>
        frame === undefined ? this.retained.delete(topic) : this.retained.set(topic, frame),
      ...{ onWills: nothing, onTuned: nothing, onRelayed: nothing, onStateChange: nothing },
    });
    this.cluster.join();
  }

  open(pool: string, filter: string): QueueId {
    const { journal } = this.cluster;
    const id = journal.openQueue(pool, filter);
    const backlog = new Collector(journal, id, pool, filter);
    this.collectors.set(id, backlog);
    const ordered = { members: 1, perSecond: 100, letGo: () => {} };
    this.cluster.attach(id, {
      ...{ backlog, taken: true, dropAtBytes: undefined, wanted: () => wanted },
      ...{ key: this.#key, ordered: () => ordered },
    });
    return id;
  }

  /** Everything that the engine has, once all of it has come. */
  async recovery(redis: TestRedis): Promise<Recovery> {
    const queues = cli(redis, "HKEYS", "equipoise:{default}:registry").split("\n").filter(Boolean);
    const owed = queues.map((name) => cli(redis, "HGET", `equipoise:{default}:state:${name}`, "messages"));
    const entries = owed.filter((messages) => Number(messages) > 0).length;
    await until(() => this.collectors.size === queues.length);
    const full = (): number => [...this.collectors.values()].filter(({ slices }) => slices.length > 0).length;
    await until(() => full() === entries);
    return {
      queues: Array.from(this.collectors, ([id, { pool, filter, slices }]) => ({ id, pool, filter, slices })),
      retained: Array.from(this.retained, ([topic, frame]) => ({ topic, frame })),
      sessions: [...this.sessions.values()],
    };
  }
}

async function redisBench(t: Test, key: string | undefined): Promise<Bench> {
  const redis = await startRedis(t);
  const clusters = new Map<Journal, LoneCluster>();
  const of = (journal: Journal): LoneCluster => clusters.get(journal) as LoneCluster;
  const fed: FedBench = {
    openQueue: (journal, pool, filter) => of(journal).open(pool, filter),
    given: async (journal, queue) => {
      const { slices } = of(journal).collectors.get(queue) as Collector;
      await until(() => slices.length > 0);
      return slices[0] as Slice;
    },
    recover: async (journal) => {
      await journal.start();
      return of(journal).recovery(redis);
    },
  };
  const open = (): Journal => {
    const lone = new LoneCluster(redis.url, key);
    clusters.set(lone.cluster.journal, lone);
    return lone.cluster.journal;
  };
  return { durable: true, open, fed };
}

test("the Redis journal", { skip }, async (t) => {
  journalConformance(t, (t) => redisBench(t, undefined));
});

test("the Redis journal of ordered pools", { skip }, async (t) => {
  journalConformance(t, (t) => redisBench(t, "topic"));
});
