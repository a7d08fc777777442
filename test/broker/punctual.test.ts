import { test } from "tap";
import { everyUnlessLate } from "../../broker/src/punctual.ts";

/** A clock whose timer fires when the test says so. */
function firing() {
  let nowMs = 0;
  let fire = (): void => {};
  const clock = {
    wallMs: () => nowMs,
    monotonicMs: () => nowMs,
    after: () => () => {},
    every: (_periodMs: number, callback: () => void) => {
      fire = callback;
      return () => {};
    },
  };
  let checks = 0;
  everyUnlessLate(clock, 100, () => checks++);
  /** Fires after each of these times, and tells how many checks there were. */
  return (...afterMs: number[]): number => {
    checks = 0;
    for (const ms of afterMs) {
      nowMs += ms;
      fire();
    }
    return checks;
  };
}

test("a check that comes after a pause is left out, the next one is not", (t) => {
  const checksAfter = firing();
  t.equal(checksAfter(100, 101, 199), 3);
  t.equal(checksAfter(1_000), 0);
  t.equal(checksAfter(100), 1);
  t.end();
});

test("where every check is late, one in eleven is done all the same", (t) => {
  t.equal(firing()(...Array(110).fill(250)), 10);
  t.end();
});
