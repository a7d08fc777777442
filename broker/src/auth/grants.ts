/** What one user with one client id may publish and subscribe to: its filters with `%c` and `%u` filled in. */
import { encodeLevel } from "@equipoise/shared";
import { covers } from "../router/cover.ts";
import { matches } from "../router/match.ts";

/** Filters, in which `%c` stands for the client id and `%u` for the user name, each as one topic level. */
export interface Patterns {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

export interface Identity {
  clientId: string;
  /** Absent for a client that gave none: patterns with `%u` then mean nothing. */
  userName: string | undefined;
}

/** Under these everybody writes only in the own name, whatever else is granted. */
const spokenFor = /^(ticks|last|heartbeat|members|dead|\$SYS)(\/|$)/;
const ownTopics = [
  "ticks/+/+/%c",
  "last/+/+/%c",
  "heartbeat/agents/%c",
  "heartbeat/members/%c",
  "members/%c/#",
];

export class Grants {
  readonly #publish: readonly string[];
  readonly #subscribe: readonly string[];
  readonly #own: readonly string[];

  /** @throws EquipoiseError EQ_TOPIC_INVALID when the client id or the user name is too long for a topic level */
  constructor(patterns: Patterns, identity: Identity) {
    this.#publish = fill(patterns.publish, identity);
    this.#subscribe = fill(patterns.subscribe, identity);
    this.#own = fill(ownTopics, identity);
  }

  mayPublish(topic: string): boolean {
    if (spokenFor.test(topic) && !this.#own.some((filter) => matches(filter, topic))) return false;
    return this.#publish.some((filter) => matches(filter, topic));
  }

  maySubscribe(filter: string): boolean {
    return this.#subscribe.some((allowed) => covers(allowed, filter));
  }
}

function fill(patterns: readonly string[], { clientId, userName }: Identity): string[] {
  const values = { "%c": encodeLevel(clientId), "%u": userName === undefined ? "" : encodeLevel(userName) };
  return patterns
    .filter((pattern) => userName !== undefined || !pattern.includes("%u"))
    .map((pattern) => pattern.replace(/%[cu]/g, (mark) => values[mark as keyof typeof values]));
}
