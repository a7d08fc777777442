import { Silence } from "@equipoise/shared";
import { test } from "tap";
import { FakeClock } from "../agent/support.ts";

const keepaliveMs = 10_000;

/** A client as mqtt.js is: a ping at the second step, given up at the third, anew with every acknowledgement it sees. */
function startClient(): {
  silence: Silence;
  clock: FakeClock;
  at: { pinged: number[]; gaveUp: number[] };
  see: () => void;
  pass: (ms: number) => void;
} {
  const clock = new FakeClock();
  const silence = new Silence(clock);
  const at = { pinged: [] as number[], gaveUp: [] as number[] };
  const see = (): void => {
    let steps = 0;
    silence.clear();
    silence.set(() => {
      steps += 1;
      if (steps === 2) at.pinged.push(clock.monotonicMs());
      if (steps <= 2) return;
      at.gaveUp.push(clock.monotonicMs());
      silence.clear();
    }, keepaliveMs / 2);
  };
  const pass = (ms: number): void => {
    for (let left = ms; left > 0; left -= 100) clock.advance(100);
  };
  see();
  return { silence, clock, at, see, pass };
}

test("a broker that says nothing is pinged after 0.8 keepalives and given up after 1.2", (t) => {
  const { at, pass, clock } = startClient();
  pass(5 * keepaliveMs);
  t.same(at, { pinged: [8_000], gaveUp: [12_000] });
  t.equal(clock.nextMs, undefined, "no timer is left");
  t.end();
});

test("whoever is heard is not pinged, and one timer runs for any number of acknowledgements", (t) => {
  const { silence, clock, at, see, pass } = startClient();
  for (let round = 0; round < 1_000; round++) {
    pass(100);
    if (round % 2 === 0) silence.heard();
    else see();
    if (clock.nextMs === undefined || clock.nextMs > 8_000) t.fail("no timer in time");
  }
  t.same(at, { pinged: [], gaveUp: [] });
  pass(5 * keepaliveMs);
  t.same(at, { pinged: [108_000], gaveUp: [112_000] });
  t.end();
});

test("after an answered ping all begins anew; what is heard instead of the answer puts the end off", (t) => {
  const answered = startClient();
  answered.pass(8_500);
  answered.see();
  answered.pass(5 * keepaliveMs);
  t.same(answered.at, { pinged: [8_000, 16_500], gaveUp: [20_500] });
  const unanswered = startClient();
  unanswered.pass(11_000);
  unanswered.silence.heard();
  unanswered.pass(5 * keepaliveMs);
  t.same(unanswered.at, { pinged: [8_000], gaveUp: [23_000] });
  t.end();
});

test("a client that was held up itself reads what has come before it judges, and waits for the answer to a late ping", (t) => {
  const { at, pass, clock, see } = startClient();
  clock.advance(30_000);
  t.same(at, { pinged: [], gaveUp: [] });
  pass(100);
  t.same(at, { pinged: [30_100], gaveUp: [] });
  pass(3_900);
  clock.advance(10_000);
  t.same(at.gaveUp, []);
  see();
  pass(5 * keepaliveMs);
  t.same(at, { pinged: [30_100, 52_000], gaveUp: [56_000] });
  t.end();
});

test("a client that has ended is neither pinged nor given up", (t) => {
  const { silence, clock, at, pass } = startClient();
  pass(1_000);
  silence.clear();
  pass(5 * keepaliveMs);
  t.same(at, { pinged: [], gaveUp: [] });
  t.equal(clock.nextMs, undefined, "the timer has ended by itself");
  t.end();
});
