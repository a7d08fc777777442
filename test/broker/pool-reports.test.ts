import fc from "fast-check";
import { test } from "tap";
import { createStrategy } from "../../broker/src/strategy/index.ts";
import { VirtualPool } from "./virtual-pool.ts";

const load = fc.constantFrom(undefined, 0, 1, 20, 1_000, 1e6, Number.MAX_VALUE);
const lie = fc.record({
  queueDepth: load,
  serviceTimeMs: load,
  eventLoopLagMs: load,
  errors: load,
  weight: load,
});
type Lie = typeof lie extends fc.Arbitrary<infer L> ? L : never;

const said = (one: Lie) => Object.fromEntries(Object.entries(one).filter(([, value]) => value !== undefined));

/** A pool in which everybody answers at once, and one reports whatever it likes, for so long. */
function lying(world: VirtualPool, lies: readonly Lie[], honestMembers: number) {
  const liar = world.join("liar");
  const all = [liar, ...Array.from({ length: honestMembers }, (_, at) => world.join(`honest${at}`))];
  let round = 0;
  return (forMs: number, published: number) =>
    world.pass(forMs, () => {
      world.publish(published);
      world.nowMs += 1;
      for (const client of all) client.acknowledge(1_000);
      if (++round % 3 === 0) liar.beat(said(lies[round % lies.length] as Lie));
    });
}

test("among honest members nobody waits for a liar", (t) => {
  const property = fc.property(fc.array(lie, { minLength: 1, maxLength: 8 }), fc.integer(), (lies, seed) => {
    const world = new VirtualPool({}, seed);
    const pass = lying(world, lies, 2);
    pass(20_000, 2);
    pass(1_000, 0);
    return world.settled === world.published;
  });
  fc.assert(property, { numRuns: 60 });
  t.pass("60 liars");
  t.end();
});

test("who is alone and always says the same gets everything, whatever it says", (t) => {
  const property = fc.property(lie, fc.integer(), (one, seed) => {
    const world = new VirtualPool({}, seed);
    const pass = lying(world, [one], 0);
    pass(20_000, 2);
    pass(15_000, 0);
    return world.settled === world.published;
  });
  fc.assert(property, { numRuns: 60 });
  t.pass("60 liars");
  t.end();
});

test("who is alone never stops getting messages, whatever it says", (t) => {
  const property = fc.property(fc.array(lie, { minLength: 1, maxLength: 8 }), fc.integer(), (lies, seed) => {
    const world = new VirtualPool({}, seed);
    const pass = lying(world, lies, 0);
    pass(20_000, 2);
    const before = world.settled;
    pass(10_000, 2);
    return world.settled >= before + 8;
  });
  fc.assert(property, { numRuns: 60 });
  t.pass("60 liars");
  t.end();
});

test("who acknowledges before it works is recognised, and does not hoard what others could do", (t) => {
  const world = new VirtualPool();
  const early = world.join("early");
  const honest = ["a", "b"].map((name) => world.join(name));
  let queue = 0;
  let round = 0;
  // In 100 ms the one that acknowledges on receipt does two messages, the others seven each.
  world.pass(30_000, () => {
    world.publish(12);
    world.nowMs += 1;
    queue += early.held.length;
    early.acknowledge(1_000);
    queue = Math.max(0, queue - 2);
    for (const client of honest) client.acknowledge(7);
    if (++round % 3 !== 0) return;
    early.beat({ queueDepth: queue, serviceTimeMs: 50 });
    for (const client of honest) client.beat({ queueDepth: client.held.length, serviceTimeMs: 14 });
  });
  t.equal(early.member.reported.acknowledgesEarly, true);
  t.ok(honest.every(({ member }) => !member.reported.acknowledgesEarly));
  t.ok(queue < 30, `${queue} in its own queue`);
  t.ok(early.got.length < world.published / 4, `${early.got.length} of ${world.published}`);
  t.end();
});

test("in an ordered pool nothing is taken back from a frozen member", (t) => {
  const world = new VirtualPool({ ordering: "key", strategy: createStrategy("key_affinity", () => 0) });
  const client = world.join("frozen");
  world.pass(2_000, () => client.beat());
  world.publish(5);
  const held = client.held.length;
  t.ok(held > 0);
  world.join("other");
  world.pass(5_000);
  t.equal(client.held.length, held);
  t.same(world.rescues, []);
  t.end();
});
