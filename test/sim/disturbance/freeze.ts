import type { Disturb } from "../scenario/scenario.ts";
import type { World } from "../world/world.ts";

/** Every `periodMs` one member, drawn anew, stands still for `lengthMs`. */
export function freeze({ periodMs, lengthMs }: { periodMs: number; lengthMs: number }): Disturb {
  return (world) => wait(world, periodMs / 2, periodMs, lengthMs);
}

function wait(world: World, delayMs: number, periodMs: number, lengthMs: number): void {
  const { timeline, presences, random, ledger } = world;
  timeline.after(delayMs, () => {
    const member = presences[random.index(presences.length)]?.member;
    const beginMs = timeline.nowMs;
    ledger.disturbed({ beginMs, endMs: beginMs + lengthMs });
    member?.slow(Number.POSITIVE_INFINITY);
    timeline.after(lengthMs, () => member?.slow(1));
    wait(world, periodMs, periodMs, lengthMs);
  });
}
