/** The names of a cluster's keys. The braces put all of them in one hash slot, because scripts touch several at once. */
export class Keys {
  readonly #prefix: string;

  /** @param cluster the name of the cluster; brokers of one name share everything */
  constructor(cluster: string) {
    this.#prefix = `equipoise:{${cluster}}:`;
  }

  get prefix(): string {
    return this.#prefix;
  }

  /** Hash: the queues there are, by name. */
  get registry(): string {
    return `${this.#prefix}registry`;
  }

  /** The number of a broker's last batch of appends, so that one sent again is not stored again. */
  appended(consumer: string): string {
    return `${this.#prefix}appended:${consumer}`;
  }

  /** Number that grows whenever the registry changes. */
  get version(): string {
    return `${this.#prefix}version`;
  }

  /** Sorted set: the queues by when a broker had members for them last, seconds since 1970. */
  get taken(): string {
    return `${this.#prefix}taken`;
  }

  /** Name of the engine's content: another one when it was emptied. */
  get epoch(): string {
    return `${this.#prefix}epoch`;
  }

  /** Channel: entries of a queue were released. */
  get news(): string {
    return `${this.#prefix}news`;
  }

  /** Hash: retained messages by topic. */
  get retained(): string {
    return `${this.#prefix}retained`;
  }

  /** Hash: the subscriptions of sessions that outlive their connection, by client id. */
  get sessions(): string {
    return `${this.#prefix}sessions`;
  }

  /** Hash: what operators have changed, by pool. */
  get tunings(): string {
    return `${this.#prefix}tunings`;
  }

  /** Hash: by client id, the broker that it is connected to. */
  get owners(): string {
    return `${this.#prefix}owners`;
  }

  /** Set: the brokers there are. */
  get brokers(): string {
    return `${this.#prefix}brokers`;
  }

  /** Channel: a retained message has changed. */
  get retainedNews(): string {
    return `${this.#prefix}retained-news`;
  }

  /** Set: filters that a broker's subscribers have whose sessions end with their connections. */
  interest(consumer: string): string {
    return `${this.#prefix}interest:${consumer}`;
  }

  /** Hash: by client id, the wills of the clients of a broker. */
  wills(consumer: string): string {
    return `${this.#prefix}wills:${consumer}`;
  }

  /** Channel: what matches such a filter, for one broker. */
  link(consumer: string): string {
    return `${this.#prefix}link:${consumer}`;
  }

  /** Stream: the entries of a queue. */
  stream(queue: string): string {
    return `${this.#prefix}queue:${queue}`;
  }

  /** Hash: a queue's bytes and messages, and of entries that are partly settled or have failed what is left of them. */
  state(queue: string): string {
    return `${this.#prefix}state:${queue}`;
  }

  /** Hash: the layouts of ordered queues. */
  get layouts(): string {
    return `${this.#prefix}layouts`;
  }

  /** Hash: of an ordered queue, who owns its shards and what brokers can do; begin of the names of their streams. */
  shards(queue: string): string {
    return `${this.#prefix}shards:${queue}`;
  }

  /** Hash: by queue that was found empty, the brokers that are called when something comes. */
  get waiting(): string {
    return `${this.#prefix}waiting`;
  }

  /** What the channels begin with that tell brokers that something has come which they wait for. */
  get calls(): string {
    return `${this.#prefix}calls:`;
  }

  /** Stream: the dead letters of a pool. */
  dead(pool: string): string {
    return `${this.#prefix}dead:${pool}`;
  }
}

/** A queue is one filter of a pool. Pool names have no slash. */
export function queueName(pool: string, filter: string): string {
  return `${pool}/${filter}`;
}

export function parseQueueName(name: string): { pool: string; filter: string } {
  const slash = name.indexOf("/");
  return { pool: name.slice(0, slash), filter: name.slice(slash + 1) };
}
