/**
 * What a broker's heartbeat says to who publishes to it: how welcome more ticks are there. Loads are compared only by
 * what brokers say about themselves, never by the wall clocks of two machines.
 */
import * as z from "zod";
import type { BrokerHeartbeat } from "./heartbeat.ts";

/** From best to worst: takes ticks gladly, pushes back on publishers, should not get any. */
export type Welcome = "open" | "pressed" | "refuses";

export interface BrokerLoad {
  broker: string;
  welcome: Welcome;
  /** It will be gone in a moment: draining or down. */
  leaving: boolean;
  /** It shares its clients with others: a client id is connected to one of them at a time. */
  cluster: boolean;
  /** How much of its members' credit is in use in the busiest pool, 0 to 1. */
  busy: number;
  /** Messages that wait in its pools. */
  backlog: number;
  /** How long after its receipt the heartbeat is to be believed. */
  lifetimeMs: number;
}

const count = z.number().finite().min(0);

/** The part of a heartbeat that matters here; what else it says may change. */
const heartbeat = z.object({
  state: z.enum(["up", "degraded", "draining", "down"]),
  broker: z.string(),
  timeMs: count,
  expiresTimeMs: count,
  durability: z.string().optional(),
  pools: z.array(
    z.object({ backlog: count, inFlight: count, freeCredit: count, pressed: z.boolean().optional() }),
  ),
}) satisfies z.ZodType<Pick<BrokerHeartbeat, "state" | "broker" | "timeMs" | "expiresTimeMs">>;
type Heartbeat = z.infer<typeof heartbeat>;

/** A broker's load from the payload of its heartbeat, or `undefined` when it is not one. */
export function decodeBrokerLoad(payload: Uint8Array): BrokerLoad | undefined {
  try {
    const result = heartbeat.safeParse(JSON.parse(Buffer.from(payload).toString("utf8")));
    return result.success ? loadOf(result.data) : undefined;
  } catch {
    return undefined;
  }
}

function loadOf({ state, broker, timeMs, expiresTimeMs, durability, pools }: Heartbeat): BrokerLoad {
  const pressed = pools.some((pool) => pool.pressed === true);
  return {
    broker,
    welcome: state !== "up" ? "refuses" : pressed ? "pressed" : "open",
    leaving: state === "draining" || state === "down",
    cluster: durability === "cluster",
    busy: Math.max(0, ...pools.map(busyShare)),
    backlog: pools.reduce((sum, pool) => sum + pool.backlog, 0),
    // Both times are of the broker's own clock.
    lifetimeMs: Math.max(0, expiresTimeMs - timeMs),
  };
}

/** A pool where messages wait for a credit is busy, whatever its members hold. */
function busyShare({ backlog, inFlight, freeCredit }: Heartbeat["pools"][number]): number {
  if (freeCredit === 0) return backlog + inFlight > 0 ? 1 : 0;
  return inFlight / (inFlight + freeCredit);
}

const welcomeRank: Readonly<Record<Welcome, number>> = { open: 0, pressed: 1, refuses: 2 };

/**
 * Orders loads, the better one first: by welcome, then by how busy they are, then by what waits.
 * @returns negative when `a` is better, 0 when there is nothing between them
 */
export function compareLoads(a: BrokerLoad, b: BrokerLoad): number {
  return welcomeRank[a.welcome] - welcomeRank[b.welcome] || a.busy - b.busy || a.backlog - b.backlog;
}

/** A broker that is less busy is not worth leaving. */
const busyFrom = 0.8;

/**
 * Whether it is worth moving from `own` to `other`: that one is more welcoming, or both are open and it is at most
 * half as busy. Never true both ways.
 */
export function isClearlyBetter(other: BrokerLoad, own: BrokerLoad): boolean {
  if (other.welcome !== own.welcome) return welcomeRank[other.welcome] < welcomeRank[own.welcome];
  return own.welcome === "open" && own.busy >= busyFrom && other.busy <= own.busy / 2;
}
