import { test } from "tap";
import { DeviceClock } from "../../agent/src/clock/device-clock.ts";
import { parseTimedate, parseTracking } from "../../agent/src/clock/synchronisation.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { deliverAll, openBuffer } from "./buffer-support.ts";
import { judge } from "./completeness.ts";
import { FakeClock, recordedLog, trade, until } from "./support.ts";

const missing = () => Promise.reject(new Error("ENOENT"));
const tracking = (status: string): string =>
  `Reference ID    : C0A80101 (192.0.2.1)\nSystem time     : 0.002500000 seconds slow of NTP time\nLeap status     : ${status}\n`;

const arriving = (clock: FakeClock, afterMs: number) => {
  const nowUs = clock.wallMs() * 1_000;
  return { ...trade(1), exchangeTimeUs: nowUs - afterMs * 1_000, receivedTimeUs: nowUs };
};

test("the skew is the least difference of late, whatever the jitter, and no longer than a minute", (t) => {
  const clock = new FakeClock();
  const own = new DeviceClock(clock, recordedLog().logger, missing);
  for (const afterMs of [40, 12, 900, 35]) own.observe(arriving(clock, afterMs));
  t.same(own.report().venues, [{ venue: "binance", skewMs: 12 }]);
  clock.advance(31_000);
  own.observe(arriving(clock, 30));
  t.same(own.report().venues, [{ venue: "binance", skewMs: 12 }], "the window before still counts");
  clock.advance(31_000);
  own.observe(arriving(clock, 25));
  t.same(own.report().venues, [{ venue: "binance", skewMs: 25 }]);
  clock.advance(61_000);
  t.same(own.report().venues, [], "a venue that is silent has none");
  t.end();
});

test("a wall clock that is set is counted and said, and what was known of the skew is forgotten", (t) => {
  const clock = new FakeClock();
  const { logger, lines } = recordedLog();
  const own = new DeviceClock(clock, logger, missing);
  own.observe(arriving(clock, 12));
  clock.advance(5_000);
  t.equal(own.report().steps, 0);
  clock.step(3_600_000);
  t.match(own.report(), { steps: 1, venues: [] });
  clock.step(-7_200_000);
  t.match(own.report(), { steps: 2 });
  t.match(
    lines.filter(({ event }) => event === "clockStepped"),
    [{ byMs: 3_600_000 }, { byMs: -7_200_000 }],
  );
  t.end();
});

test("synchronised is what chrony says, else systemd, else unknown, and nobody waits for them", async (t) => {
  const clock = new FakeClock();
  const { logger } = recordedLog();
  const answers =
    (chronyc: string | undefined, timedatectl: string | undefined) => async (command: string) => {
      const answer = command === "chronyc" ? chronyc : timedatectl;
      if (answer === undefined) throw new Error("ENOENT");
      return answer;
    };
  const ask = async (chronyc?: string, timedatectl?: string) => {
    const own = new DeviceClock(clock, logger, answers(chronyc, timedatectl));
    t.match(own.report(), { synchronised: null }, "not yet known");
    await new Promise((resolve) => setImmediate(resolve));
    const { synchronised, offsetMs } = own.report();
    return [synchronised, offsetMs];
  };
  t.same(await ask(tracking("Normal")), [true, -2.5]);
  t.same(await ask(tracking("Not synchronised")), [false, -2.5]);
  t.same(await ask(undefined, "NTP=yes\nNTPSynchronized=yes\n"), [true, null]);
  t.same(await ask("506 Cannot talk to daemon", "NTPSynchronized=no\n"), [false, null]);
  t.same(await ask(), [null, null]);
  t.equal(parseTracking("nonsense"), undefined);
  t.equal(parseTimedate("nonsense"), undefined);
});

test("a wall clock that is set an hour forward and back breaks nothing in the buffer", async (t) => {
  const clock = new FakeClock();
  const directory = await temporaryDirectory(t);
  const options = { clock, maxAgeMs: 600_000, keepAcknowledgedMs: 60_000, commitLatencyMs: 10 };
  const payloads: string[] = [];
  for (const stepMs of [3_600_000, -7_200_000, 3_600_000]) {
    const { buffer, stop } = await openBuffer(t, directory, options);
    buffer.put(trade(1));
    clock.step(stepMs);
    buffer.put(trade(2));
    await until(() => buffer.stats().safe >= 1);
    clock.advance(1_000);
    payloads.push(...(await deliverAll(buffer)));
    t.match(buffer.stats(), { ticks: 0, lost: 0, oldestAgeMs: null });
    t.equal(
      (await buffer.range({ venue: "binance", symbol: "BTCUSDT", fromSeq: 1, toSeq: 100 }, 100)).length,
      payloads.length,
      "kept by uptime",
    );
    await stop();
  }
  const { holes, usedTwice, gaps } = judge(payloads);
  t.same([holes, usedTwice, gaps], [[], [], []]);
  t.equal(new Set(payloads.map((payload) => JSON.parse(payload).epoch)).size, 1);
});
