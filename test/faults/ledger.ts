/**
 * Load that remembers: what was acknowledged to whom, and who received what how often and when. Clients come back by
 * themselves.
 */
import type { Test } from "tap";
import { MqttClient } from "../support/mqtt-client.ts";
import type { Teardown } from "../support/teardown.ts";
import { pause, until } from "../support/time.ts";

const retryMs = 50;

/** A message that is received later than this after it was to be sent was not served. */
const servedWithinMs = 1_000;

/** As `performance.now()` tells it. */
export interface Span {
  fromMs: number;
  toMs: number;
}

export class Ledger {
  readonly acknowledged = new Set<string>();
  /** When each message was to be sent. */
  readonly #dueAtMs = new Map<string, number>();
  /** How long each message took to its first receiver. */
  readonly #tookMs = new Map<string, number>();
  readonly #lastByClient = new Map<string, number>();
  readonly #pauseByClient = new Map<string, number>();
  /** Since when pauses are counted, and all receptions since then. */
  #sinceMs = performance.now();
  readonly #timesByClient = new Map<string, number[]>();
  /** By reader: how often it received each message. */
  readonly received = new Map<string, Map<string, number>>();

  due(text: string, atMs: number): void {
    this.#dueAtMs.set(text, atMs);
  }

  /** Share of all that was to be sent in some spans of time, acknowledged or not, that was received within a second. */
  availability(spans: readonly Span[]): number {
    let [due, served] = [0, 0];
    for (const [text, atMs] of this.#dueAtMs) {
      if (!spans.some(({ fromMs, toMs }) => atMs >= fromMs && atMs < toMs)) continue;
      due++;
      if ((this.#tookMs.get(text) ?? Number.POSITIVE_INFINITY) <= servedWithinMs) served++;
    }
    return served / due;
  }

  /** The longest time that each client had to wait for its next message. */
  get pausesMs(): ReadonlyMap<string, number> {
    return this.#pauseByClient;
  }

  /** Clients that have lost a connection since pauses are counted, and how long they were without one. */
  readonly cutOff = new Map<string, { atMs: number; awayMs: number | undefined }>();

  lost(client: string): void {
    if (!this.cutOff.has(client)) this.cutOff.set(client, { atMs: performance.now(), awayMs: undefined });
  }

  /** The client has subscribed, perhaps anew. */
  subscribed(client: string): void {
    const loss = this.cutOff.get(client);
    if (loss !== undefined) loss.awayMs ??= performance.now() - loss.atMs;
  }

  /**
   * The longest time in which nothing was received by any of those that kept their connections. Each of them alone may
   * have to wait because others have nothing to do and are nearer.
   */
  get stayedPauseMs(): number {
    const stayed = [...this.#timesByClient].filter(([client]) => !this.cutOff.has(client));
    let lastMs = this.#sinceMs;
    let longestMs = 0;
    for (const atMs of stayed.flatMap(([, timesMs]) => timesMs).sort((a, b) => a - b)) {
      longestMs = Math.max(longestMs, atMs - lastMs);
      lastMs = atMs;
    }
    return longestMs;
  }

  /** Pauses are counted anew. */
  forgetPauses(): void {
    this.cutOff.clear();
    const nowMs = performance.now();
    for (const client of this.#lastByClient.keys()) this.#lastByClient.set(client, nowMs);
    this.#pauseByClient.clear();
    this.#sinceMs = nowMs;
    this.#timesByClient.clear();
  }

  #note(client: string, text: string): void {
    const nowMs = performance.now();
    const pauseMs = nowMs - (this.#lastByClient.get(client) ?? nowMs);
    this.#lastByClient.set(client, nowMs);
    const timesMs = this.#timesByClient.get(client) ?? [];
    timesMs.push(nowMs);
    this.#timesByClient.set(client, timesMs);
    this.#pauseByClient.set(client, Math.max(pauseMs, this.#pauseByClient.get(client) ?? 0));
    const dueMs = this.#dueAtMs.get(text);
    if (dueMs !== undefined && !this.#tookMs.has(text)) this.#tookMs.set(text, nowMs - dueMs);
  }

  receive(reader: string, text: string, client = reader): void {
    this.#note(client, text);
    let counts = this.received.get(reader);
    if (counts === undefined) {
      counts = new Map();
      this.received.set(reader, counts);
    }
    counts.set(text, (counts.get(text) ?? 0) + 1);
  }

  /** Acknowledged messages that a reader has not received. */
  missing(reader: string): string[] {
    const counts = this.received.get(reader);
    return [...this.acknowledged].filter((text) => counts?.has(text) !== true);
  }

  /** Receptions beyond the first. */
  repeats(reader: string): number {
    return [...(this.received.get(reader)?.values() ?? [])].reduce((sum, count) => sum + count - 1, 0);
  }

  /** Waits until a reader has everything acknowledged; gives up when nothing new comes for `patienceMs`. */
  async complete(reader: string, patienceMs = 30_000): Promise<void> {
    let last = -1;
    let sinceMs = performance.now();
    for (;;) {
      const left = this.missing(reader).length;
      if (left === 0 || performance.now() - sinceMs > patienceMs) return;
      if (left !== last) sinceMs = performance.now();
      last = left;
      await pause(20);
    }
  }
}

/** Something that runs until it is stopped. */
export interface Running {
  stop(): Promise<void>;
}

/** The next place after each call. */
function course({ host, port, others = [] }: Place & { others?: readonly Place[] }): () => Place {
  const places: Place[] = [{ port, ...(host === undefined ? {} : { host }) }, ...others];
  let turn = 0;
  return () => places[turn++ % places.length] as Place;
}

function keepRunning(t: Teardown, work: (stopped: () => boolean) => Promise<void>): Running {
  let stopped = false;
  const done = (async () => {
    while (!stopped) {
      await work(() => stopped).catch(() => {});
      if (!stopped) await pause(retryMs);
    }
  })();
  const stop = async (): Promise<void> => {
    stopped = true;
    await done;
  };
  t.teardown(stop);
  return { stop };
}

/** Where a broker is; 127.0.0.1 unless it says otherwise. */
export interface Place {
  host?: string;
  port: number;
}

export interface PublisherOptions extends Place {
  /** Gone to in turn after a connection was lost. */
  others?: readonly Place[];
  id: string;
  topic: string;
  window?: number;
  /** Most messages a second; without it as fast as they are acknowledged. */
  rate?: number;
  size?: number;
}

/** Publishes at QoS 1; what was not acknowledged when a connection ended is published again. */
export function runPublisher(t: Teardown, ledger: Ledger, options: PublisherOptions): Running {
  const { id, topic, window = 20, rate = Number.POSITIVE_INFINITY, size = 0 } = options;
  const nextPlace = course(options);
  const pending = new Map<number, string>();
  let again: string[] = [];
  let number = 0;
  const beganMs = performance.now();
  const next = (): string | undefined => {
    if (again.length > 0) return again.shift();
    const dueMs = Number.isFinite(rate) ? beganMs + (number * 1_000) / rate : performance.now();
    if (performance.now() < dueMs) return undefined;
    const text = `${id} ${number++}`.padEnd(size);
    ledger.due(text, dueMs);
    return text;
  };
  return keepRunning(t, async (stopped) => {
    const { port, ...place } = nextPlace();
    const client = await MqttClient.connect(t, port, id, place);
    try {
      while (!stopped() && !client.isClosed) {
        for (let text = next(); text !== undefined; text = pending.size < window ? next() : undefined) {
          pending.set(client.sendPublish(topic, text), text);
        }
        if (pending.size === 0) {
          await pause(1);
          continue;
        }
        const { messageId } = await client.next("puback", 30_000);
        ledger.acknowledged.add(pending.get(messageId) as string);
        pending.delete(messageId);
      }
    } finally {
      again = [...pending.values(), ...again];
      pending.clear();
      client.drop();
    }
  });
}

export interface ReaderOptions extends Place {
  /** Gone to in turn after a connection was lost. */
  others?: readonly Place[];
  id: string;
  filter: string;
  /** Under what name the ledger notes it; members of a pool share one. */
  reader: string;
  clean?: boolean;
  /** Time for each message. */
  workMs?: number;
  /** Ends the connection without warning after so many messages, again and again. */
  crashEvery?: number;
}

/** Subscribes and acknowledges every message after it was noted. */
export function runReader(t: Teardown, ledger: Ledger, options: ReaderOptions): Running {
  const nextPlace = course(options);
  const { id, filter, reader, clean = true, workMs = 0, crashEvery = Number.POSITIVE_INFINITY } = options;
  return keepRunning(t, async (stopped) => {
    const { port, ...place } = nextPlace();
    const client = await MqttClient.connect(t, port, id, { clean, ...place });
    try {
      await client.subscribe(filter, 1);
      ledger.subscribed(id);
      for (let count = 0; count < crashEvery && !stopped(); count++) {
        const packet = await client.next("publish", 1_000).catch((error) => {
          if (!client.isClosed) return undefined;
          ledger.lost(id);
          throw error;
        });
        if (packet === undefined) continue;
        if (workMs > 0) await pause(workMs);
        ledger.receive(reader, packet.payload.toString(), id);
        if (packet.qos > 0) client.puback(packet.messageId);
      }
    } finally {
      client.drop();
    }
  });
}

/** Until what is published at each of these places reaches a reader: before, its subscription is not known there. */
export async function untilReached(
  t: Teardown,
  ledger: Ledger,
  reader: string,
  places: readonly Place[],
): Promise<void> {
  for (const [at, { port, ...place }] of places.entries()) {
    const client = await MqttClient.connect(t, port, `probe-${at}`, place);
    const probe = `probe ${at}`;
    await until(async () => {
      await client.publish(`ticks/v/s/probe-${at}`, probe);
      await pause(20);
      return ledger.received.get(reader)?.has(probe) === true;
    });
    await client.disconnect();
  }
}

export interface Load {
  publishers: readonly Running[];
  readers: readonly Running[];
}

/**
 * Ends the publishers, sees to it that everything they had acknowledged has been received, and ends the readers.
 * @param names the readers', as the ledger has them
 */
export async function endLoad(
  t: Pick<Test, "same">,
  ledger: Ledger,
  { publishers, readers }: Load,
  names: readonly string[] = ["pool"],
): Promise<void> {
  await Promise.all(publishers.map((publisher) => publisher.stop()));
  const { size } = ledger.acknowledged;
  for (const name of names) {
    await ledger.complete(name);
    const repeats = ledger.repeats(name);
    t.same(ledger.missing(name), [], `${name}: ${size} acknowledged, ${repeats} repeats`);
  }
  await Promise.all(readers.map((reader) => reader.stop()));
}
