import type { Disturb } from "../scenario/scenario.ts";
import type { World } from "../world/world.ts";

interface Restart {
  periodMs: number;
  /** From saying that it drains to the end of the connection. */
  drainMs: number;
  awayMs: number;
}

/** One member after the other says that it drains, leaves cleanly, and comes back. */
export function rollingRestart(restart: Restart): Disturb {
  return (world) => roll(world, restart, 0);
}

function roll(world: World, restart: Restart, turn: number): void {
  const { timeline, presences, ledger } = world;
  const { periodMs, drainMs, awayMs } = restart;
  timeline.after(periodMs, () => {
    const presence = presences[turn % presences.length];
    const beginMs = timeline.nowMs;
    ledger.disturbed({ beginMs, endMs: beginMs + drainMs + awayMs });
    presence?.drain();
    timeline.after(drainMs, () => presence?.leave(false));
    timeline.after(drainMs + awayMs, () => presence?.join());
    roll(world, restart, turn + 1);
  });
}

/** Every `periodMs` one member, drawn anew, crashes and comes back. */
export function crash({ periodMs, awayMs }: { periodMs: number; awayMs: number }): Disturb {
  return (world) => fall(world, periodMs, awayMs);
}

function fall(world: World, periodMs: number, awayMs: number): void {
  const { timeline, presences, random, ledger } = world;
  timeline.after(periodMs, () => {
    const presence = presences[random.index(presences.length)];
    const beginMs = timeline.nowMs;
    ledger.disturbed({ beginMs, endMs: beginMs + awayMs });
    presence?.leave(true);
    timeline.after(awayMs, () => presence?.join());
    fall(world, periodMs, awayMs);
  });
}
