import { setTimeout as sleep } from "node:timers/promises";
import { type Flood, portOf, type Result, topicOf } from "./load.ts";
import { Arrivals, Frames } from "./message.ts";
import { Meter } from "./meter.ts";
import { RawClient } from "./raw-client.ts";
import { settle } from "./settle.ts";

/** A publisher that always has a full window on the way, until it is stopped. */
class WindowPublisher {
  readonly #frames: Frames;
  readonly #window: number;
  #client: RawClient | undefined;
  #stopped = false;
  #finished = 0;

  constructor(publisher: number, load: Flood) {
    this.#frames = new Frames(topicOf(load, publisher), publisher, load.qos);
    this.#window = load.window;
  }

  get sent(): number {
    return this.#frames.count;
  }

  async connect(port: number, clientId: string, pubacks: boolean): Promise<void> {
    const onPuback = (count: number): void => this.finished(this.#finished + count);
    this.#client = await RawClient.connect(port, clientId, pubacks ? { onPuback } : {});
  }

  /** So many of its messages are not on the way any more. */
  finished(count: number): void {
    this.#finished = count;
    const free = this.#window - (this.#frames.count - count);
    if (free > 0 && !this.#stopped) this.#client?.write(this.#frames.next(free));
  }

  stop(): void {
    this.#stopped = true;
  }

  close(): void {
    this.#client?.close();
  }
}

/** Subscribers, with what has come to them. */
async function subscribe(load: Flood, onArrival: () => void) {
  const pooled = load.copies === 1;
  const clients: RawClient[] = [];
  const arrivals: Arrivals[] = [];
  for (let number = 0; number < load.subscribers; number++) {
    const arrived = (pooled ? arrivals[0] : undefined) ?? new Arrivals();
    if (!arrivals.includes(arrived)) arrivals.push(arrived);
    const onPublish = (bytes: Buffer, payload: number): void => {
      arrived.note(bytes, payload);
      onArrival();
    };
    const client = await RawClient.connect(portOf(load, number), `bench-sub-${number}`, { onPublish });
    await client.subscribe(load.filter, load.qos);
    clients.push(client);
  }
  const total = (of: (arrived: Arrivals) => number): number =>
    arrivals.reduce((sum, arrived) => sum + of(arrived), 0);
  return {
    clients,
    arrived: () => total(({ count }) => count),
    repeated: () => total(({ repeated }) => repeated),
  };
}

/** Whole windows are topped up when a quarter has arrived, as a PUBACK tops them up read by read. */
const topUpShare = 0.25;

export async function flood(load: Flood): Promise<Result> {
  const publishers = Array.from(
    { length: load.publishers },
    (_, number) => new WindowPublisher(number, load),
  );
  let arrivals = 0;
  let toppedUpAt = 0;
  const stride = Math.max(1, Math.floor(load.window * topUpShare)) * load.copies * load.publishers;
  const onArrival = (): void => {
    arrivals++;
    if (load.until === "puback" || arrivals - toppedUpAt < stride) return;
    toppedUpAt = arrivals;
    const each = Math.floor(arrivals / load.copies / load.publishers);
    for (const publisher of publishers) publisher.finished(each);
  };
  const receivers = await subscribe(load, onArrival);
  for (const [number, publisher] of publishers.entries())
    await publisher.connect(portOf(load, number), `bench-pub-${number}`, load.until === "puback");
  for (const publisher of publishers) publisher.finished(0);
  await sleep(load.warmUpMs);
  const meter = new Meter(load);
  meter.begin();
  const before = receivers.arrived();
  await sleep(load.durationMs);
  const measured = receivers.arrived() - before;
  const figures = meter.end();
  for (const publisher of publishers) publisher.stop();
  const sent = (): number => publishers.reduce((sum, publisher) => sum + publisher.sent, 0);
  await settle(receivers.arrived, () => sent() * load.copies);
  for (const client of [...publishers, ...receivers.clients]) client.close();
  return {
    sent: sent(),
    expected: sent() * load.copies,
    arrived: receivers.arrived(),
    repeated: receivers.repeated(),
    measured,
    ...figures,
  };
}
