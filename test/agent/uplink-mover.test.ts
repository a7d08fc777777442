import type { BrokerLoad } from "@equipoise/shared";
import { test } from "tap";
import { Mover, type MoverOptions } from "../../agent/src/uplink/mover.ts";
import { FakeClock } from "./support.ts";

const load = (fields: Partial<BrokerLoad> = {}): BrokerLoad => ({
  broker: "any",
  welcome: "open",
  leaving: false,
  cluster: false,
  busy: 0.1,
  backlog: 0,
  lifetimeMs: 3_000,
  ...fields,
});
const pressed = load({ welcome: "pressed", busy: 1 });

/** An agent at the first of three brokers that hears `own` every second. */
function agent(own: { load: BrokerLoad | undefined }, options: Partial<MoverOptions> = {}) {
  const clock = new FakeClock();
  const moves: [number, string][] = [];
  const looks: number[] = [];
  const left: string[] = [];
  const mover = new Mover({
    brokers: 3,
    observe: async (index) => {
      looks.push(index);
      return load({ backlog: index });
    },
    move: (index, reason) => moves.push([index, reason]),
    leave: (reason) => left.push(reason),
    clock,
    random: () => 0.1,
    ...options,
  });
  mover.connected(0);
  const pass = async (seconds: number): Promise<void> => {
    for (let second = 0; second < seconds; second++) {
      if (own.load !== undefined) mover.heard(own.load);
      clock.advance(1_000);
      for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
    }
  };
  return { mover, moves, looks, left, pass };
}

test("the best of the others is chosen when the own broker stays pressed", async (t) => {
  const { moves, looks, pass } = agent({ load: pressed });
  await pass(65);
  t.same(looks, [], "nobody is bothered before it may move");
  await pass(120);
  t.same(moves[0], [1, "pressed"]);
});

test("a broker that is pressed for a moment is no reason even to look", async (t) => {
  const own = { load: load() };
  const { looks, pass } = agent(own);
  await pass(100);
  for (let times = 0; times < 5; times++) {
    own.load = pressed;
    await pass(4);
    own.load = load();
    await pass(2);
  }
  t.same(looks, []);
});

test("the reason is looked at again just before the move", async (t) => {
  const own = { load: pressed };
  const { moves, looks, pass } = agent(own);
  while (looks.length < 2) await pass(1);
  own.load = load();
  await pass(120);
  t.same(moves, []);
});

test("only a share of those who could move does", async (t) => {
  const { moves, looks, pass } = agent({ load: pressed }, { random: () => 0.25 });
  await pass(300);
  t.ok(looks.length > 2);
  t.same(moves, []);
});

test("a heartbeat that is older than it may be is no ground to move on", async (t) => {
  const own: { load: BrokerLoad | undefined } = { load: pressed };
  const { moves, looks, pass } = agent(own);
  while (looks.length < 2) await pass(1);
  own.load = undefined;
  await pass(300);
  t.same(moves, []);
});

test("one message more or less makes no broker busy", async (t) => {
  const own = { load: load() };
  const { moves, pass } = agent(own, { observe: async () => load({ busy: 0 }) });
  for (let second = 0; second < 600; second++) {
    own.load = load({ busy: second % 3 === 0 ? 1 : 0.1 });
    await pass(1);
  }
  t.same(moves, []);
  own.load = load({ busy: 1 });
  await pass(600);
  t.same(moves[0]?.[1], "busy");
});

test("another name of the own broker is found out and left alone", async (t) => {
  const looks: number[] = [];
  const { mover, pass } = agent(
    { load: pressed },
    {
      observe: async (index) => {
        looks.push(index);
        // The same client id at the same broker: the older connection ends.
        if (index === 1) {
          mover.disconnected();
          mover.connected(0);
        }
        return load();
      },
    },
  );
  await pass(1_000);
  t.equal(looks.filter((index) => index === 1).length, 2);
  t.ok(looks.filter((index) => index === 2).length > 2, "the third one is still looked at");
});

test("whoever has stopped moves no more", async (t) => {
  const { mover, moves, looks, pass } = agent({ load: pressed });
  while (looks.length < 2) await pass(1);
  mover.stop();
  await pass(300);
  t.same(moves, []);
  t.equal(looks.length, 2);
});

test("brokers of a cluster are never looked at: one that drains is left within a second", async (t) => {
  const own = { load: load({ cluster: true, welcome: "pressed", busy: 1 }) };
  const { moves, looks, left, pass } = agent(own);
  await pass(1_000);
  t.same([moves, looks, left], [[], [], []], "what waits there waits at all of them");
  own.load = load({ cluster: true, welcome: "refuses", leaving: true });
  await pass(1);
  t.same(left, ["leaving"]);
  t.same(looks, []);
});

test("a broker that has lost the cluster's engine is left after a while, not for a moment of it", async (t) => {
  const own = { load: load({ cluster: true, welcome: "refuses" }) };
  const { looks, left, pass } = agent(own);
  await pass(4);
  own.load = load({ cluster: true });
  await pass(200);
  t.same(left, []);
  own.load = load({ cluster: true, welcome: "refuses" });
  await pass(30);
  t.same(left[0], "refuses");
  t.same(looks, []);
});
