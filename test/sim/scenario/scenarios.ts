/** All scenarios; docs/simulator.md says what each is for. */
import { freeze } from "../disturbance/freeze.ts";
import { neighbour } from "../disturbance/neighbour.ts";
import { crash, rollingRestart } from "../disturbance/restart.ts";
import { unhealthy } from "../disturbance/unhealthy.ts";
import { soundHeartbeats } from "../member/heartbeats.ts";
import { members, type Scenario, scenario } from "./scenario.ts";

const quick = true;
const unequal = members({ rate: 4 }, { rate: 2 }, { rate: 1 });
/** The fastest of them takes 1 ms for a message. */
const fourMs = { kind: "exponential", meanMs: 4 } as const;
const twoMs = { kind: "exponential", meanMs: 2 } as const;

const equal = [0.3, 0.6, 0.8, 0.95, 1.2].map((load) =>
  scenario(`equal-${load}`, `4 equal members, load ${load}`, { load, quick: load === 0.8 }),
);

const uneven = [0.3, 0.6, 0.8, 0.95].map((load) =>
  scenario(`unequal-${load}`, `3 members of 1, 2 and 4 ms, load ${load}`, {
    load,
    members: unequal,
    service: fourMs,
    seconds: 60,
    quick: load === 0.8,
  }),
);

const fast = scenario(
  "unequal-fast",
  "3 members of 0.25, 0.5 and 1 ms, little against the round trip, load 0.8",
  {
    load: 0.8,
    members: unequal,
    seconds: 15,
  },
);

const traffic = [
  scenario("bursty", "bursts of 20 ms at 2.5 times the mean rate, load 0.6", {
    load: 0.6,
    arrivals: { kind: "bursty", meanBurstMs: 20, share: 0.4 },
  }),
  scenario("lognormal", "lognormal service of variation 2, load 0.8", {
    load: 0.8,
    service: { kind: "lognormal", meanMs: 1, variation: 2 },
  }),
];

const slow = [
  scenario(
    "as-benchmarked",
    "four members as in the benchmark of real processes: 1 ms, one 10 ms, load 0.9",
    {
      load: 0.9,
      members: members({}, {}, {}, { rate: 1 / 10 }),
      service: { kind: "constant", meanMs: 1 },
    },
  ),
  scenario("slow-member", "one member of four 20 times slower, load 0.8", {
    load: 0.8,
    members: members({}, {}, {}, { rate: 1 / 20 }),
    quick,
  }),
  scenario("freeze", "every 30 s one member of four stands still for 2 s, load 0.6", {
    load: 0.6,
    service: twoMs,
    seconds: 80,
    disturbances: [freeze({ periodMs: 30_000, lengthMs: 2_000 })],
    quick,
  }),
  scenario("neighbour", "every 10 to 500 ms another member of four is 5 times slower, load 0.6", {
    load: 0.6,
    disturbances: [neighbour({ factor: 5 })],
  }),
];

const dishonest = [
  scenario("fail-fast", "one member of four rejects everything in 50 µs, load 0.7 of the others", {
    load: 0.7,
    members: members({}, {}, {}, { rejects: 1 }),
    quick,
  }),
  scenario("early-ack", "one member of four acknowledges before it works, load 0.7", {
    load: 0.7,
    members: members({}, {}, {}, { acknowledgesEarly: true }),
  }),
];

const heartbeats = [
  scenario("heartbeats-lost", "no heartbeat arrives, 1, 2 and 4 ms, load 0.8", {
    load: 0.8,
    members: unequal.map((member) => ({ ...member, heartbeats: { ...soundHeartbeats, lost: 1 } })),
    service: fourMs,
    seconds: 60,
  }),
  scenario("heartbeats-late", "heartbeats come 2 s late, 1, 2 and 4 ms, load 0.8", {
    load: 0.8,
    members: unequal.map((member) => ({ ...member, heartbeats: { ...soundHeartbeats, lateMs: 2_000 } })),
    service: fourMs,
    seconds: 60,
  }),
  scenario(
    "heartbeats-lie",
    "the slowest claims to be idle, the fastest to be busy, 1, 2 and 4 ms, load 0.8",
    {
      load: 0.8,
      members: members(
        { rate: 4, heartbeats: { ...soundHeartbeats, lies: "busy" } },
        { rate: 2 },
        { rate: 1, heartbeats: { ...soundHeartbeats, lies: "idle" } },
      ),
      service: fourMs,
      seconds: 60,
    },
  ),
];

const credible = [
  scenario("heartbeats-queue", "the fastest always claims 40 messages more to do, 1, 2 and 4 ms, load 0.8", {
    load: 0.8,
    members: members(
      { rate: 4, heartbeats: { ...soundHeartbeats, lies: "queue" } },
      { rate: 2 },
      { rate: 1 },
    ),
    service: fourMs,
    seconds: 60,
  }),
];

const coming = [
  scenario(
    "rolling-restart",
    "every 8 s the next member of four drains for 50 ms and is away for 2 s, load 0.6",
    {
      load: 0.6,
      service: twoMs,
      seconds: 60,
      disturbances: [rollingRestart({ periodMs: 8_000, drainMs: 50, awayMs: 2_000 })],
    },
  ),
  scenario("crash", "every 8 s a member of four crashes and is away for 2 s, load 0.6", {
    load: 0.6,
    service: twoMs,
    seconds: 60,
    disturbances: [crash({ periodMs: 8_000, awayMs: 2_000 })],
  }),
  scenario("unhealthy", "for 20 s of 60, 3 of 5 members are 10 times slower and reject 30 %, load 0.3", {
    load: 0.3,
    members: members({}, {}, {}, {}, {}),
    service: twoMs,
    seconds: 60,
    disturbances: [unhealthy({ count: 3, factor: 10, rejects: 0.3, beginMs: 15_000, lengthMs: 20_000 })],
  }),
];

export const scenarios: readonly Scenario[] = [
  ...equal,
  ...uneven,
  fast,
  ...traffic,
  ...slow,
  ...dishonest,
  ...heartbeats,
  ...credible,
  ...coming,
];
