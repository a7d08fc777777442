/** The process of the publisher: sends by the clock, whatever has been acknowledged. */
import { setImmediate as turn } from "node:timers/promises";
import { encodeRecord } from "@equipoise/shared";
import { generate } from "mqtt-packet";
import { seededRandom } from "../../support/random.ts";
import { RawClient } from "../load/raw-client.ts";
import { settle } from "../load/settle.ts";
import { answer } from "./answers.ts";
import { quantile } from "./completions.ts";
import { monotonicUs, sleepUntil } from "./monotonic.ts";
import type { PublisherQuestion, Sent } from "./questions.ts";

type Arrivals = Extract<PublisherQuestion, { ask: "arrivals" }>;

/** What has come in is read at least as often. */
const longestSleepMs = 5;
const maxPacketId = 0xffff;

let client: RawClient | undefined;
let sent = 0;
let acknowledged = 0;

async function connect(port: number): Promise<void> {
  const onPuback = (count: number): void => {
    acknowledged += count;
  };
  client = await RawClient.connect(port, "bench-pub", { onPuback });
}

function send(topic: string, intendedUs: number): void {
  sent++;
  const trade = { type: "trade", venue: "binance", symbol: "BTCUSDT" } as const;
  const digits = { price: "61837.63000000", size: "0.02000000", side: "sell" } as const;
  const exchangeTimeUs = Math.round(intendedUs);
  const times = { exchangeTimeUs, receivedTimeUs: exchangeTimeUs };
  const payload = encodeRecord({ ...trade, ...digits, ...times, agent: "bench", epoch: "1", seq: sent });
  const messageId = ((sent - 1) % maxPacketId) + 1;
  const flags = { qos: 1, dup: false, retain: false } as const;
  client?.write(generate({ cmd: "publish", topic, payload, messageId, ...flags }));
}

/** All at once. */
async function burst(topic: string, count: number): Promise<Sent> {
  const fromUs = monotonicUs();
  for (let number = 0; number < count; number++) send(topic, fromUs);
  await settled();
  return { count, fromUs, untilUs: fromUs, lateP99Us: 0 };
}

async function arrivals({ topic, rate, durationMs, seed }: Arrivals): Promise<Sent> {
  const random = seededRandom(seed);
  const gapUs = (): number => (-Math.log(1 - random()) * 1e6) / rate;
  const fromUs = monotonicUs();
  const untilUs = fromUs + durationMs * 1_000;
  const latesUs: number[] = [];
  for (let dueUs = fromUs + gapUs(); dueUs < untilUs; dueUs += gapUs()) {
    await waitUntil(dueUs);
    send(topic, dueUs);
    latesUs.push(monotonicUs() - dueUs);
  }
  await settled();
  return { count: latesUs.length, fromUs, untilUs, lateP99Us: quantile(latesUs, 0.99) };
}

async function waitUntil(dueUs: number): Promise<void> {
  do {
    await turn();
    sleepUntil(dueUs, longestSleepMs);
  } while ((dueUs - monotonicUs()) / 1_000 > 1);
}

/** @throws Error when the broker does not acknowledge */
async function settled(): Promise<void> {
  await settle(
    () => acknowledged,
    () => sent,
  );
  if (acknowledged < sent) throw new Error(`${sent - acknowledged} messages were not acknowledged`);
}

answer<PublisherQuestion>(async (question) => {
  switch (question.ask) {
    case "connect":
      return connect(question.port);
    case "burst":
      return burst(question.topic, question.count);
    case "arrivals":
      return arrivals(question);
  }
});
