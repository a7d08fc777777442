import { test } from "tap";
import { Pacer, speedFactor } from "../../agent/src/source/pacer.ts";
import { FakeClock } from "./support.ts";

const ms = (value: number): number => 1_723_161_254_000_000 + value * 1_000;

test("records come at the pace they were recorded, or a multiple of it", async (t) => {
  for (const [speed, expected] of [
    ["realtime", 260],
    ["4", 65],
    ["0.5", 520],
  ] as const) {
    const clock = new FakeClock();
    const pacer = new Pacer(clock, speedFactor(speed));
    t.equal(pacer.until(ms(0)), undefined, "the first is due at once");
    const due = pacer.until(ms(260));
    t.equal(clock.nextMs, expected, speed);
    clock.advance(expected);
    await due;
    t.equal(pacer.until(ms(260)), undefined, "one of the same time follows at once");
  }
});

test("a late reader catches up instead of stretching the recording", async (t) => {
  const clock = new FakeClock();
  const pacer = new Pacer(clock, 1);
  pacer.until(ms(0));
  clock.advance(500);
  t.equal(pacer.until(ms(400)), undefined);
  t.ok(pacer.until(ms(600)));
  t.equal(clock.nextMs, 100);
});

test("a new pass begins at once", async (t) => {
  const clock = new FakeClock();
  const pacer = new Pacer(clock, 1);
  pacer.until(ms(0));
  clock.advance(1_000);
  pacer.begin();
  t.equal(pacer.until(ms(0)), undefined);
  pacer.until(ms(250));
  t.equal(clock.nextMs, 250);
});

test("at full speed nothing ever waits", async (t) => {
  const pacer = new Pacer(new FakeClock(), speedFactor("max"));
  t.same(
    [0, 1e3, 1e9].map((time) => pacer.until(ms(time))),
    [undefined, undefined, undefined],
  );
});

test("a hole of hours, or a damaged time, is not waited for", async (t) => {
  const clock = new FakeClock();
  const pacer = new Pacer(clock, 1);
  pacer.until(ms(0));
  t.equal(pacer.until(ms(10 * 3_600_000)), undefined);
  pacer.until(ms(10 * 3_600_000 + 5));
  t.equal(clock.nextMs, 5, "the pace goes on behind the hole");
});

test("stopping ends a wait", async (t) => {
  const pacer = new Pacer(new FakeClock(), 1);
  pacer.until(ms(0));
  const due = pacer.until(ms(60_000));
  pacer.stop();
  await t.resolves(Promise.resolve(due));
});
