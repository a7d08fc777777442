import { setTimeout as sleep } from "node:timers/promises";
import { type Drain, type Fill, type Result, topicOf } from "./load.ts";
import { Arrivals, Frames } from "./message.ts";
import { Meter } from "./meter.ts";
import { RawClient } from "./raw-client.ts";
import { settle } from "./settle.ts";

/** Publishes `count` messages at QoS 1 until all are acknowledged. */
export async function fill(load: Fill): Promise<Result> {
  const meter = new Meter(load);
  meter.begin();
  const share = load.count / load.publishers;
  await Promise.all(
    Array.from({ length: load.publishers }, (_, publisher) =>
      fillShare(load, publisher, Math.floor((publisher + 1) * share) - Math.floor(publisher * share)),
    ),
  );
  const sent = load.count;
  return { sent, expected: 0, arrived: 0, repeated: 0, measured: sent, ...meter.end() };
}

async function fillShare(load: Fill, publisher: number, count: number): Promise<void> {
  const { port, window, gapUs } = load;
  const frames = new Frames(topicOf(load, publisher), publisher, 1);
  let acknowledged = 0;
  let done = (): void => {};
  const finished = new Promise<void>((resolve) => {
    done = resolve;
  });
  const client = await RawClient.connect(port, `bench-fill-${publisher}`, {
    onPuback: (pubacks) => {
      acknowledged += pubacks;
      if (acknowledged === count) done();
      else if (gapUs === 0) send();
    },
  });
  const send = (most = window): void => {
    const free = Math.min(window - (frames.count - acknowledged), count - frames.count, most);
    if (free > 0) client.write(frames.next(free));
  };
  send(gapUs === 0 ? window : 1);
  while (gapUs > 0 && frames.count < count) {
    await spin(gapUs);
    send(1);
  }
  await finished;
  client.close();
}

/** Timers are too coarse for less than a millisecond; sockets have their turn in between. */
async function spin(gapUs: number): Promise<void> {
  const until = performance.now() + gapUs / 1_000;
  do await new Promise((resolve) => setImmediate(resolve));
  while (performance.now() < until);
}

const retryMs = 5;

/** Tries to connect until somebody listens, joins, and takes everything. */
export async function drain(load: Drain): Promise<Result> {
  const meter = new Meter({ pid: process.pid });
  meter.begin();
  let firstAtMs = 0;
  const arrivals = new Arrivals();
  const onPublish = (bytes: Buffer, payload: number): void => {
    if (arrivals.count === 0) firstAtMs = Date.now();
    arrivals.note(bytes, payload);
  };
  let client: RawClient | undefined;
  while (client === undefined) {
    try {
      client = await RawClient.connect(load.port, "bench-drain", { onPublish });
    } catch {
      await sleep(retryMs);
    }
  }
  await client.subscribe(load.filter, 1);
  await settle(
    () => arrivals.count,
    () => load.count,
  );
  client.close();
  const { count: arrived, repeated } = arrivals;
  const counts = { sent: load.count, expected: load.count, arrived, repeated, measured: arrived };
  return { ...counts, ...meter.end(), firstAtMs };
}
