/** What members, agents and brokers say about themselves. All fields but the state are optional for members. */
import * as z from "zod";

const nonNegative = z.number().finite().min(0);

/** A member's load, on `heartbeat/members/{clientId}`; it corrects the broker's own view and never replaces it. */
export const memberHeartbeat = z.object({
  state: z.enum(["up", "draining"]),
  /** Messages taken but not yet finished. */
  queueDepth: nonNegative.optional(),
  /** Mean time of one message in the handler. */
  serviceTimeMs: nonNegative.optional(),
  eventLoopLagMs: nonNegative.optional(),
  /** Share of one core, 0 to 1. */
  cpu: nonNegative.optional(),
  /** Handler failures since the last heartbeat. */
  errors: nonNegative.optional(),
  /** The most messages this member wants to hold at once. */
  creditLimit: z.number().int().min(1).max(65_535).optional(),
  weight: nonNegative.optional(),
});
export type MemberHeartbeat = z.infer<typeof memberHeartbeat>;

export type Throttle = "underVoltage" | "frequencyCapped" | "throttled" | "softTemperatureLimit";

/** An agent's state, on `heartbeat/agents/{agentId}`. */
export interface AgentHeartbeat {
  state: "up" | "draining" | "down";
  agent: string;
  version: string;
  timeMs: number;
  uptimeMs: number;
  buffer: {
    /** `full` at one of its bounds, where `whenFull` says what happens; `refused` while the disk takes no writes. */
    state: "open" | "full" | "refused";
    /** Not acknowledged yet. */
    ticks: number;
    /** Of the database. */
    bytes: number;
    /** By the agent's own uptime, which no step of the wall clock touches. */
    oldestAgeMs: number | null;
    /** Given up since the start; gap records say which. */
    lost: number;
    /** Damaged databases that were set aside: those there are, and how many have been removed since the start. */
    setAside: { files: number; bytes: number; removed: number };
    /** By the whole process since its start, and the share of each tick taken; null where the system does not tell. */
    writtenBytes: number | null;
    writtenBytesPerTick: number | null;
  };
  clock: {
    monotonicMs: number;
    /** Whether the system's clock follows a time server; null where nobody can tell. */
    synchronised: boolean | null;
    /** From that server's time, where it is known. */
    offsetMs: number | null;
    /** How often the wall clock was set since the start. */
    steps: number;
    /** The least difference of late between arrival and the venue's own time: this clock's lead and the shortest way. */
    venues: { venue: string; skewMs: number }[];
  };
  uplink: {
    connected: boolean;
    broker: string | null;
    inFlight: number;
    acknowledged: number;
    reconnects: number;
  };
  sources: {
    spec: string;
    state: "running" | "ended" | "failed";
    ticks: number;
    skipped: number;
    /** Gap records that the source has written. */
    gaps: number;
    /** Of a venue. */
    connection?: {
      connected: boolean;
      /** For so long it has been connected, or not. */
      forMs: number;
      /** Why it is not; null while it is, and before the first attempt has ended. */
      reason: string | null;
      /** Since the last trade; null before the first. */
      lastTickAgeMs: number | null;
      /** Symbols that the connection does not have: refused, or never answered for. */
      missing: string[];
    };
  }[];
  /** What could not be found out is null. */
  device: {
    /** Share of all cores, 0 to 1. */
    cpu: number | null;
    memoryUsedBytes: number | null;
    memoryBytes: number;
    /** Of the agent's own process. */
    residentBytes: number;
    temperatureC: number | null;
    /** What a Raspberry Pi says of its power and heat: now, and at any time since its start. */
    throttling: { now: Throttle[]; ever: Throttle[] } | null;
    /** Of the file system with the buffer. */
    diskFreeBytes: number | null;
    diskBytes: number | null;
    /** Of all interfaces but the loopback. */
    network: {
      receivedBytesPerSecond: number;
      sentBytesPerSecond: number;
      /** Any of them has a link. */
      link: boolean;
    } | null;
  };
}

/** One pool as a broker reports it. */
export interface PoolReport {
  name: string;
  members: number;
  backlog: number;
  backlogBytes: number;
  /** Where `whenFull` begins, of each of its backlogs. */
  maxBacklogBytes: number;
  /** A backlog is so near its bound that publishers are held back. */
  pressed: boolean;
  inFlight: number;
  freeCredit: number;
  /** Deliveries acknowledged since the broker started. */
  settled: number;
  redelivered: number;
  /** Messages taken back from frozen members. */
  rescued: number;
  dropped: number;
  /** Too little of the pool is well: health is ignored. */
  panic: boolean;
}

/** A broker's state, retained on `heartbeat/brokers/{brokerId}`; not to be believed after `expiresTimeMs`. */
export interface BrokerHeartbeat {
  state: "up" | "degraded" | "draining" | "down";
  broker: string;
  version: string;
  timeMs: number;
  expiresTimeMs: number;
  durability: "memory" | "disk" | "cluster";
  connections: number;
  load: { eventLoopLagMs: number; cpu: number; residentBytes: number };
  received: number;
  delivered: number;
  pools: (PoolReport & { memberReports: MemberReport[] })[];
  /** Of which there was no more to say in one heartbeat. */
  omitted: { pools: number; members: number };
}

/** One member as a broker sees it. */
export interface MemberReport {
  clientId: string;
  health: "HEALTHY" | "DEGRADED" | "UNHEALTHY";
  /** Of the last change, for people; empty before there was one. */
  healthReason: string;
  healthForMs: number;
  inFlight: number;
  credit: number;
  weight: number;
  draining: boolean;
  /** Lent by the pool that is this one's fallback. */
  guest: boolean;
  settled: number;
  timeouts: number;
  /** Messages taken back from it because it froze. */
  rescued: number;
  /** Smoothed time from sending to acknowledgement; null before the first one. */
  ackLatencyMs: number | null;
  /** Time that one message is expected to take it; null while that is not known. */
  serviceMs: number | null;
  /** Messages that it works on beside those in flight, as it reports. */
  extraWork: number;
  /** Share of messages that it failed of late, 0 to 1. */
  errorRate: number;
  /** Messages that it was given in the last minute. */
  takenInMinute: number;
  acknowledgesEarly: boolean;
  /** What the pool's strategy weighs it by, less is better; null where that is no number. */
  score: number | null;
}

/** A member's heartbeat from its payload, or `undefined` when it is not one. */
export function decodeMemberHeartbeat(payload: Uint8Array): MemberHeartbeat | undefined {
  try {
    const result = memberHeartbeat.safeParse(JSON.parse(Buffer.from(payload).toString("utf8")));
    return result.success ? result.data : undefined;
  } catch {
    return undefined;
  }
}
