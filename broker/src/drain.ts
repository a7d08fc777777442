/**
 * How a broker that stops is left: its heartbeat says so, members finish what they hold and get nothing more, and
 * clients that listen to the heartbeat, because they know other brokers, have time to move there.
 */
import type { Clock } from "@equipoise/shared";

/** Clients spread their moves over half of this; who is still here then does not mean to move. */
const leaveMs = 2_000;
const checkPeriodMs = 20;
/** What the rest of a stop takes. */
const reserveMs = 1_000;

export interface DrainOptions {
  clock: Clock;
  /** Bounds the whole stop. */
  shutdownTimeoutMs: number;
  /** Says that the broker drains, and gives members nothing more. */
  begin: () => void;
  /** Members hold messages. */
  holding: () => boolean;
  /** Clients that will move are still here. */
  followed: () => boolean;
}

/** Resolves when the connections can be closed without loss to anybody, or when there is no more time. */
export async function drain(options: DrainOptions): Promise<void> {
  const { clock, shutdownTimeoutMs, begin, holding, followed } = options;
  const beganMs = clock.monotonicMs();
  const holdMs = Math.max(0, shutdownTimeoutMs - reserveMs);
  begin();
  for (;;) {
    const elapsedMs = clock.monotonicMs() - beganMs;
    if (elapsedMs >= holdMs || !(holding() || (elapsedMs < leaveMs && followed()))) return;
    await new Promise<void>((resolve) => clock.after(checkPeriodMs, resolve));
  }
}
