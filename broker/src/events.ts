/** Every state change that an operator would ask about is one typed event: logged, and counted under its name. */
import type { Logger } from "@equipoise/shared";

export type BrokerEvent =
  | { event: "connection.opened"; clientId: string; address: string; clean: boolean; sessionPresent: boolean }
  | { event: "connection.closed"; clientId: string | null; address: string; reason: string; detail?: string }
  | { event: "connection.refused"; address: string; reason: string }
  | {
      event: "authentication.failed";
      address: string;
      clientId: string;
      userName: string | null;
      reason: string;
    }
  | { event: "users.loaded"; path: string; users: number }
  | { event: "certificates.loaded" }
  | { event: "balancing.loaded"; files: number; changed: number }
  | { event: "reload.failed"; code: string; detail: string }
  | { event: "subscription.refused"; clientId: string; filter: string; reason: string }
  | { event: "pool.created"; pool: string; declared: boolean; backlog: number }
  | { event: "pool.removed"; pool: string; backlog: number }
  | { event: "pool.joined"; pool: string; filter: string; clientId: string; members: number }
  | { event: "pool.left"; pool: string; clientId: string; members: number }
  | { event: "pool.dropped"; pool: string; messages: number }
  | { event: "pool.panic"; pool: string; panic: boolean }
  | { event: "pool.rescued"; pool: string; clientId: string; messages: number }
  | { event: "pool.tuned"; pool: string; strategy: string; health: string }
  | { event: "pool.lent"; pool: string; fallback: string; members: number }
  | { event: "pool.returned"; pool: string; fallback: string }
  | { event: "health.failed"; pool: string; checker: string; reason: string }
  | { event: "member.health"; pool: string; clientId: string; from: string; to: string; reason: string }
  | { event: "pool.pressed"; pool: string; backlogBytes: number }
  | { event: "pool.relieved"; pool: string; backlogBytes: number }
  | {
      event: "delivery.failed";
      pool: string;
      clientId: string;
      topic: string;
      attempts: number;
      reason: string;
    }
  | { event: "delivery.dead"; pool: string; topic: string; attempts: number; reason: string }
  | { event: "dead.dropped"; pool: string; maxDeadLetters: number }
  | { event: "session.dropped"; clientId: string; messages: number }
  | { event: "session.expired"; clientId: string }
  | { event: "session.ended"; clientId: string; reason: string }
  | { event: "retained.full"; topic: string; maxRetainedBytes: number }
  | { event: "heartbeat.ignored"; clientId: string; reason: string }
  | { event: "control.unavailable"; path: string; reason: string }
  | { event: "engine.here" }
  | { event: "engine.away"; reason: string }
  | { event: "engine.rolledBack"; detail: string }
  | { event: "broker.dead"; broker: string }
  | { event: "broker.takenForDead" }
  | { event: "entry.unknown"; pool: string }
  | { event: "pool.shards"; pool: string; filter: string; shards: number }
  | { event: "pool.stale"; pool: string; entries: number }
  | { event: "pool.orderKept"; pool: string; ordering: string; key: string }
  | { event: "pool.foreign"; pool: string; filter: string }
  | { event: "journal.damaged"; setAside: string }
  | { event: "journal.failed"; code: string; detail: string };

const warnings: ReadonlySet<BrokerEvent["event"]> = new Set([
  "connection.refused",
  "authentication.failed",
  "reload.failed",
  "pool.dropped",
  "pool.panic",
  "pool.rescued",
  "pool.lent",
  "health.failed",
  "member.health",
  "delivery.dead",
  "dead.dropped",
  "pool.pressed",
  "session.dropped",
  "retained.full",
  "control.unavailable",
  "engine.away",
  "engine.rolledBack",
  "broker.dead",
  "broker.takenForDead",
  "entry.unknown",
  "pool.stale",
  "pool.orderKept",
  "pool.foreign",
  "journal.damaged",
  "journal.failed",
]);

export class Events {
  readonly #logger: Logger;
  readonly counts = new Map<string, number>();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  emit(event: BrokerEvent): void {
    this.counts.set(event.event, (this.counts.get(event.event) ?? 0) + 1);
    if (warnings.has(event.event)) this.#logger.warn(event);
    else this.#logger.info(event);
  }
}
