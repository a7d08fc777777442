import { setTimeout as sleep } from "node:timers/promises";
import { type Paced, portOf, type Result, topicOf } from "./load.ts";
import { Arrivals, ageUs, Frames } from "./message.ts";
import { Meter } from "./meter.ts";
import { RawClient } from "./raw-client.ts";
import { settle } from "./settle.ts";

const tickMs = 1;

/** Sends by the clock: what is due is spread over the publishers in turn, whatever has been acknowledged. */
class Pacer {
  readonly #frames: Frames[];
  readonly #clients: readonly RawClient[];
  readonly #perMs: number;
  readonly #beganMs = performance.now();
  #timer: NodeJS.Timeout | undefined;
  sent = 0;

  constructor(clients: readonly RawClient[], load: Paced) {
    this.#clients = clients;
    this.#frames = clients.map((_, publisher) => new Frames(topicOf(load, publisher), publisher, 1));
    this.#perMs = (clients.length * load.rate) / 1_000;
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), tickMs);
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const due = Math.floor((performance.now() - this.#beganMs) * this.#perMs);
    for (; this.sent < due; this.sent++) {
      const publisher = this.sent % this.#clients.length;
      const bytes = (this.#frames[publisher] as Frames).next(1);
      (this.#clients[publisher] as RawClient).write(bytes);
    }
  }
}

async function connectMany(load: Paced, name: string, count: number): Promise<RawClient[]> {
  const clients: RawClient[] = [];
  for (let number = 0; number < count; number++)
    clients.push(await RawClient.connect(portOf(load, number), `bench-${name}-${number}`));
  return clients;
}

export async function paced(load: Paced): Promise<Result> {
  const { port, publishers } = load;
  const arrivals = new Arrivals();
  const ages: number[] = [];
  let measuring = false;
  const onPublish = (bytes: Buffer, payload: number): void => {
    arrivals.note(bytes, payload);
    if (measuring) ages.push(ageUs(bytes, payload));
  };
  const others = await connectMany(load, "idle", load.idle);
  for (let number = 0; number < load.subscribers; number++) {
    const member = await RawClient.connect(port, `bench-sub-${number}`, { onPublish });
    await member.subscribe(load.filter, 1);
    others.push(member);
  }
  const senders = await connectMany(load, "pub", publishers);
  const pacer = new Pacer(senders, load);
  pacer.start();
  await sleep(load.warmUpMs);
  const meter = new Meter(load);
  meter.begin();
  measuring = true;
  await sleep(load.durationMs);
  measuring = false;
  const figures = meter.end();
  pacer.stop();
  await settle(
    () => arrivals.count,
    () => pacer.sent,
  );
  for (const client of [...senders, ...others]) client.close();
  const { count: arrived, repeated } = arrivals;
  const counts = { sent: pacer.sent, expected: pacer.sent, arrived, repeated, measured: ages.length };
  return { ...counts, ...figures, latencyUs: quantiles(ages) };
}

function quantiles(values: readonly number[]) {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number): number =>
    sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}
