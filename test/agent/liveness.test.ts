import { test } from "tap";
import { Liveness, type Stages } from "../../agent/src/systemd/liveness.ts";
import { FakeClock } from "./support.ts";

const idle: Stages = {
  intakeWaits: false,
  uncommitted: 0,
  safe: 10,
  connected: true,
  attempts: 1,
  waiting: 0,
  inFlight: 0,
  published: 10,
};

/** What is said after the stages have stayed, or gone on, for an hour in steps of 10 s. */
function afterAnHour(stages: Partial<Stages>, step: (now: Stages) => Partial<Stages> = () => ({})) {
  const clock = new FakeClock();
  let now: Stages = { ...idle, ...stages };
  const liveness = new Liveness({ clock, patienceMs: 40_000, stages: () => now });
  let stalled: string | undefined;
  for (let second = 0; second < 3_600; second += 10) {
    clock.advance(10_000);
    now = { ...now, ...step(now) };
    stalled ??= liveness.stalled();
  }
  return stalled;
}

test("to have nothing to do is progress", (t) => {
  t.equal(afterAnHour({}), undefined);
  t.end();
});

test("what a restart would not better is no stall: a broker that withholds PUBACKs, one that is away", (t) => {
  t.equal(afterAnHour({ waiting: 5_000, inFlight: 256 }), undefined);
  const retrying = ({ attempts }: Stages): Partial<Stages> => ({ attempts: attempts + 1 });
  t.equal(afterAnHour({ connected: false, waiting: 5_000 }, retrying), undefined);
  t.end();
});

test("work that goes on, however slowly, is progress", (t) => {
  const step = ({ safe, published }: Stages): Partial<Stages> => ({
    safe: safe + 1,
    published: published + 1,
  });
  t.equal(afterAnHour({ uncommitted: 9, waiting: 9, intakeWaits: true }, step), undefined);
  t.end();
});

test("a stage that could work and does not is named", (t) => {
  t.match(afterAnHour({ intakeWaits: true }), /ingest/);
  t.match(afterAnHour({ uncommitted: 1 }), /committed/);
  t.match(afterAnHour({ waiting: 1 }), /published/);
  t.match(afterAnHour({ connected: false }), /connect/);
  t.end();
});

test("it is a stall only after the patience, and over with the first progress", (t) => {
  const clock = new FakeClock();
  let now: Stages = { ...idle, uncommitted: 1 };
  const liveness = new Liveness({ clock, patienceMs: 40_000, stages: () => now });
  t.equal(liveness.stalled(), undefined);
  clock.advance(39_999);
  t.equal(liveness.stalled(), undefined);
  clock.advance(1);
  t.match(liveness.stalled(), /committed/);
  now = { ...now, safe: 11 };
  t.equal(liveness.stalled(), undefined);
  t.end();
});
