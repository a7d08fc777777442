import type { Disturb } from "../scenario/scenario.ts";
import type { World } from "../world/world.ts";

/** A neighbour on the members' machines: every 10 to 500 ms it makes another member slower by `factor`. */
export function neighbour({ factor }: { factor: number }): Disturb {
  return (world) => move(world, factor);
}

function move(world: World, factor: number): void {
  const { presences, random, timeline } = world;
  const member = presences[random.index(presences.length)]?.member;
  member?.slow(factor);
  timeline.after(random.between(10, 500), () => {
    member?.slow(1);
    move(world, factor);
  });
}
