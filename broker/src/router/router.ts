/** Which queues get a topic: a tree of filter levels, and a bounded cache of topics already looked up. */
import { parseTopic, type TopicMeaning, topicFault } from "@equipoise/shared";
import type { Indexes, Slice } from "../journal/slice.ts";

/** What takes in messages: a backlog, or another broker. */
export interface Destination {
  /** Its number in the journal; absent for what lives only in memory. */
  readonly queue: number | undefined;
  /** Its messages go through a journal that several brokers share; they are not pushed. */
  readonly fed: boolean;
  /** Publishers that feed it must be held back. */
  readonly pressed: boolean;
  /** Its publishers are refused. */
  readonly refuses: boolean;
  push(slice: Slice): void;
  /** Calls back once, when it is no longer pressed; the returned function forgets the callback. */
  whenRelieved(callback: () => void): () => void;
}

/** A queue as the end of a route. */
export class Target {
  readonly backlog: Destination;
  /** Messages go out with at most this QoS. */
  readonly qosCap: number;
  /** What each of the ingress's batches has for it so far. */
  readonly open: [Indexes | undefined, Indexes | undefined] = [undefined, undefined];

  constructor(backlog: Destination, qosCap: number) {
    this.backlog = backlog;
    this.qosCap = qosCap;
  }

  /** Its messages must survive a crash: at QoS 0 nothing is promised. */
  get durable(): boolean {
    return this.backlog.queue !== undefined && this.qosCap > 0;
  }
}

export interface Route {
  targets: readonly Target[];
  /** Some target must survive a crash. */
  durable: boolean;
  /** Some target is a queue that several brokers share: all that it gets goes through the journal. */
  shared: boolean;
}

/** All that the broker knows of a topic. */
export class Topic {
  readonly name: string;
  readonly meaning: TopicMeaning;
  /** Why nothing may be published to it, if so. */
  readonly fault: string | undefined;
  version = -1;
  route: Route = { targets: [], durable: false, shared: false };

  constructor(name: string, fault = topicFault(name)) {
    this.name = name;
    this.fault = fault;
    this.meaning = fault === undefined ? parseTopic(name) : { kind: "other" };
  }
}

class Level {
  readonly children = new Map<string, Level>();
  readonly targets = new Set<Target>();
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Cached topics; at the bound the cache starts anew. */
const maxCachedTopics = 65_536;

export class Router {
  readonly #root = new Level();
  readonly #topics = new Map<string, Topic>();
  #version = 0;

  add(filter: string, target: Target): void {
    let level = this.#root;
    for (const name of filter.split("/")) {
      let next = level.children.get(name);
      if (next === undefined) {
        next = new Level();
        level.children.set(name, next);
      }
      level = next;
    }
    level.targets.add(target);
    this.#version++;
  }

  remove(filter: string, target: Target): void {
    this.#remove(this.#root, filter.split("/"), target);
    this.#version++;
  }

  /** Returns true when the level below is empty and can go. */
  #remove(level: Level, [name, ...rest]: readonly string[], target: Target): boolean {
    if (name === undefined) level.targets.delete(target);
    else {
      const next = level.children.get(name);
      if (next !== undefined && this.#remove(next, rest, target)) level.children.delete(name);
    }
    return level.targets.size === 0 && level.children.size === 0;
  }

  /** The topic whose UTF-8 bytes lie at `[start, end)`, with its route up to date. */
  topicAt(bytes: Buffer, start: number, end: number): Topic {
    const key = bytes.toString("latin1", start, end);
    const known = this.#topics.get(key);
    if (known !== undefined) return this.refresh(known);
    const topic = decode(bytes.subarray(start, end));
    if (this.#topics.size >= maxCachedTopics) this.#topics.clear();
    // A topic with a fault closes its connection; it must not push good ones out of the cache.
    if (topic.fault === undefined) this.#topics.set(key, topic);
    return this.refresh(topic);
  }

  refresh(topic: Topic): Topic {
    if (topic.version === this.#version) return topic;
    topic.route = this.match(topic.name);
    topic.version = this.#version;
    return topic;
  }

  /** Each queue once, with the highest QoS of those of its subscriptions that match [MQTT-3.3.5-1]. */
  match(name: string): Route {
    const best = new Map<Destination, Target>();
    const levels = name.split("/");
    // Wildcards at the front do not match topics that begin with $ [MQTT-4.7.2-1].
    collect(this.#root, levels, 0, name.startsWith("$"), best);
    const targets = [...best.values()];
    const durable = targets.some((target) => target.durable);
    return { targets, durable, shared: targets.some(({ backlog }) => backlog.fed) };
  }
}

function decode(bytes: Buffer): Topic {
  try {
    return new Topic(strict.decode(bytes));
  } catch {
    return new Topic("", "is not UTF-8");
  }
}

function collect(
  level: Level,
  levels: readonly string[],
  at: number,
  hidden: boolean,
  best: Map<Destination, Target>,
): void {
  const rest = hidden ? undefined : level.children.get("#");
  if (rest !== undefined) keepBest(rest, best);
  const name = levels[at];
  if (name === undefined) return keepBest(level, best);
  const exact = level.children.get(name);
  if (exact !== undefined) collect(exact, levels, at + 1, false, best);
  const any = hidden ? undefined : level.children.get("+");
  if (any !== undefined) collect(any, levels, at + 1, false, best);
}

function keepBest(level: Level, best: Map<Destination, Target>): void {
  for (const target of level.targets) {
    const other = best.get(target.backlog);
    if (other === undefined || other.qosCap < target.qosCap) best.set(target.backlog, target);
  }
}
