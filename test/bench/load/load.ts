/** What the generator's process is asked to do, and what it answers. */

interface Base {
  port: number;
  /** The broker's process, whose CPU time is read when measuring begins and ends. */
  pid: number;
  /** More processes of the same subject: clients spread over those that listen, CPU time is read of all. */
  others?: readonly { port?: number; pid: number }[];
  /** Each publisher has a topic of its own below it. */
  topics: string;
}

/** As fast as it goes: each publisher keeps `window` messages on the way. */
export interface Flood extends Base {
  kind: "flood";
  publishers: number;
  window: number;
  /** What ends a message's time on the way: its PUBACK, or its arrival at every receiver. */
  until: "puback" | "arrival";
  qos: 0 | 1;
  subscribers: number;
  filter: string;
  /** Receivers of each message: 1 for the members of a pool together, else every subscriber. */
  copies: number;
  warmUpMs: number;
  durationMs: number;
}

/** At a given rate, whatever the broker does: the time from sending to arrival. */
export interface Paced extends Base {
  kind: "paced";
  publishers: number;
  /** Of each publisher, messages a second. */
  rate: number;
  idle: number;
  subscribers: number;
  filter: string;
  warmUpMs: number;
  durationMs: number;
}

/** Publishes and receives nothing. */
export interface Fill extends Base {
  kind: "fill";
  publishers: number;
  window: number;
  count: number;
  /** At least so long between two messages of a publisher, so that each comes in a turn of its own; 0 for none. */
  gapUs: number;
}

/** Joins a pool, as soon as somebody listens, and takes `count` messages. */
export interface Drain extends Base {
  kind: "drain";
  filter: string;
  count: number;
}

export type Load = Flood | Paced | Fill | Drain;

export interface Result {
  /** Different messages that were sent, in all. */
  sent: number;
  /** Different messages that came, summed over receivers; it must be `sent × copies`. */
  arrived: number;
  expected: number;
  repeated: number;
  /** Arrivals while measuring, and how long that was. */
  measured: number;
  elapsedMs: number;
  /** CPU time of the broker, and of the generator itself, while measuring. */
  brokerCpuUs: number;
  /** In the order of `others`. */
  othersCpuUs: number[];
  generatorCpuUs: number;
  /** From sending to arrival; present for `paced`. */
  latencyUs?: { p50: number; p99: number; max: number };
  /** Wall clock of the first message, to compare between processes; present for `drain`. */
  firstAtMs?: number;
}

/** Where the client of a number connects. */
export function portOf({ port, others = [] }: Load, number: number): number {
  const ports = [port, ...others.flatMap((other) => other.port ?? [])];
  return ports[number % ports.length] as number;
}

export const topicOf = ({ topics }: Load, publisher: number): string => `${topics}/${publisher}`;
