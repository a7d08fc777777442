import fc from "fast-check";
import { test } from "tap";
import { type BrokerLoad, compareLoads, decodeBrokerLoad, isClearlyBetter } from "../../shared/src/flow.ts";

const load: fc.Arbitrary<BrokerLoad> = fc.record({
  broker: fc.constantFrom("a", "b"),
  welcome: fc.constantFrom("open", "pressed", "refuses"),
  leaving: fc.boolean(),
  cluster: fc.boolean(),
  busy: fc.constantFrom(0, 0.2, 0.4, 0.79, 0.8, 0.9, 1),
  backlog: fc.nat(5),
  lifetimeMs: fc.constant(3_000),
});

test("loads are in a total order", async (t) => {
  fc.assert(
    fc.property(load, load, load, (a, b, c) => {
      if (Math.sign(compareLoads(a, b)) !== -Math.sign(compareLoads(b, a))) return false;
      return compareLoads(a, b) > 0 || compareLoads(b, c) > 0 || compareLoads(a, c) <= 0;
    }),
  );
  t.pass("antisymmetric and transitive");
});

test("a broker that is more welcoming comes first, whatever else is said", async (t) => {
  fc.assert(
    fc.property(load, load, (a, b) => {
      const [open, pressed, refuses] = (["open", "pressed", "refuses"] as const).map((welcome, index) => ({
        ...(index % 2 === 0 ? a : b),
        welcome,
      })) as [BrokerLoad, BrokerLoad, BrokerLoad];
      return compareLoads(open, pressed) < 0 && compareLoads(pressed, refuses) < 0;
    }),
  );
  t.pass("open, pressed, refuses");
});

test("clearly better is never true both ways, and implies better", async (t) => {
  fc.assert(
    fc.property(
      load,
      load,
      (a, b) => !isClearlyBetter(a, b) || (!isClearlyBetter(b, a) && compareLoads(a, b) < 0),
    ),
  );
  t.pass("as compared");
});

const pool = (fields: object) => ({ name: "p", backlog: 0, inFlight: 0, freeCredit: 0, ...fields });
const decode = (fields: object): BrokerLoad | undefined =>
  decodeBrokerLoad(
    Buffer.from(
      JSON.stringify({ state: "up", broker: "a", timeMs: 5, expiresTimeMs: 3_005, pools: [], ...fields }),
    ),
  );

test("a heartbeat says how welcome ticks are, how busy the members, and how long that holds", async (t) => {
  t.same(decode({}), {
    broker: "a",
    welcome: "open",
    leaving: false,
    cluster: false,
    busy: 0,
    backlog: 0,
    lifetimeMs: 3_000,
  });
  const pools = [pool({ inFlight: 3, freeCredit: 1, backlog: 2 }), pool({ freeCredit: 9, inFlight: 1 })];
  t.match(decode({ pools }), { welcome: "open", busy: 0.75, backlog: 2 });
  t.match(decode({ pools: [pool({ backlog: 7 })] }), { busy: 1 }, "a backlog without members");
  t.match(decode({ pools: [pool({ pressed: true })] }), { welcome: "pressed", leaving: false });
  t.match(decode({ state: "degraded" }), { welcome: "refuses", leaving: false });
  t.match(decode({ state: "draining" }), { welcome: "refuses", leaving: true });
  t.match(decode({ durability: "cluster" }), { cluster: true });
  t.match(decode({ state: "down" }), { welcome: "refuses", leaving: true });
});

test("what is no heartbeat is nothing", async (t) => {
  for (const text of ["", "null", "[]", "{}", '{"state":"odd"}', "[[["]) {
    t.equal(decodeBrokerLoad(Buffer.from(text)), undefined, text);
  }
});
