/** Which queues are ordered by key, and how. */
import type { Clock, EquipoiseError } from "@equipoise/shared";
import type { Events } from "../../events.ts";
import type { PoolPolicy } from "../../pool/contract.ts";
import type { Engine } from "../engine.ts";
import type { Keys } from "../keys.ts";
import type { SharedQueue } from "../queue.ts";
import type { Registry } from "../registry.ts";
import type { Settler } from "../settler.ts";
import { keyOfLayout, Layout } from "./layout.ts";
import { Shards } from "./shards.ts";

export interface ClusterOrderOptions {
  engine: Engine;
  keys: Keys;
  consumer: string;
  clock: Clock;
  events: Events;
  registry: Registry;
  settler: Settler;
  nextChunkId: () => number;
  ask: (queue: SharedQueue) => void;
  onFailed: (error: EquipoiseError) => void;
}

export class ClusterOrder {
  readonly #options: ClusterOrderOptions;

  constructor(options: ClusterOrderOptions) {
    this.#options = options;
  }

  /** A queue of an ordered pool is divided into shards. */
  attach(queue: SharedQueue, key: string): void {
    const { engine, keys, consumer, clock, events, settler, nextChunkId, ask, onFailed } = this.#options;
    const { pool, filter } = queue;
    queue.shards = new Shards({
      ...{ engine, keys, consumer, clock, queue, nextChunkId, onFailed },
      layout: new Layout(key),
      settle: () => settler.flush(true),
      request: () => ask(queue),
      onChanged: (shards) => events.emit({ event: "pool.shards", pool, filter, shards }),
      onStale: (entries) => events.emit({ event: "pool.stale", pool, entries }),
      onUnknown: () => events.emit({ event: "entry.unknown", pool }),
    });
  }

  /** A policy with the order that the pool's queues have; it can change only while they are empty. */
  ordered(policy: PoolPolicy): PoolPolicy {
    const layout = this.#options.registry.layoutOf(policy.name);
    if (layout === undefined) return policy;
    const key = keyOfLayout(layout);
    const kept = {
      ordering: key === undefined ? ("none" as const) : ("key" as const),
      key: key ?? policy.key,
    };
    if (kept.ordering === policy.ordering && kept.key === policy.key) return policy;
    this.#options.events.emit({ event: "pool.orderKept", pool: policy.name, ...kept });
    return { ...policy, ...kept };
  }
}
