/** What the broker counts, as metrics. Every name is documented in docs/metrics.md. */
import type { Family, MemberReport, PoolReport, Sample } from "@equipoise/shared";
import { healthStates } from "../health/index.ts";
import type { JournalStats } from "../journal/journal.ts";

/** Counters and gauges of every stage at one moment. */
export interface Snapshot {
  events: ReadonlyMap<string, number>;
  received: number;
  receivedBytes: number;
  unmatched: number;
  delivered: number;
  connections: number;
  sessions: number;
  pools: readonly (PoolReport & { memberReports: readonly MemberReport[] })[];
  journal: JournalStats;
}

type Type = Family["type"];
type PoolSnapshot = Snapshot["pools"][number];

/** Labels of more would make a server's time series grow with the number of clients. */
export const maxPools = 256;
export const maxMembers = 1_024;

/** Pools and members beyond the bounds are left out, and counted. */
export function brokerFamilies(snapshot: Snapshot): Family[] {
  const pools = [...snapshot.pools].sort((a, b) => compare(a.name, b.name));
  const shown = pools.slice(0, maxPools);
  const members = shown.flatMap((pool) => pool.memberReports.map((member) => ({ pool, member })));
  const shownMembers = members.slice(0, maxMembers);
  const total = pools.reduce((sum, { memberReports }) => sum + memberReports.length, 0);
  return [
    ...totals(snapshot),
    ...poolFamilies(shown),
    ...memberFamilies(shownMembers),
    single("equipoise_metrics_omitted", "gauge", "Pools and members left out of this answer.", [
      { labels: { kind: "pool" }, value: pools.length - shown.length },
      { labels: { kind: "member" }, value: total - shownMembers.length },
    ]),
  ];
}

function totals({ journal, events, ...counts }: Snapshot): Family[] {
  return [
    single(
      "equipoise_received_messages_total",
      "counter",
      "PUBLISH packets taken from clients.",
      counts.received,
    ),
    single("equipoise_received_bytes_total", "counter", "Bytes of those packets.", counts.receivedBytes),
    single(
      "equipoise_unmatched_messages_total",
      "counter",
      "Messages that matched no subscription: acknowledged and gone.",
      counts.unmatched,
    ),
    single(
      "equipoise_delivered_messages_total",
      "counter",
      "Messages that receivers took: acknowledged, or sent at QoS 0.",
      counts.delivered,
    ),
    single("equipoise_connections", "gauge", "Network connections.", counts.connections),
    single("equipoise_sessions", "gauge", "Sessions, connected or not.", counts.sessions),
    single("equipoise_pools", "gauge", "Pools, declared or not.", counts.pools.length),
    single("equipoise_journal_chunks", "gauge", "Chunks that some queue has not settled.", journal.chunks),
    single(
      "equipoise_journal_pending_chunks",
      "gauge",
      "Chunks that wait for their commit.",
      journal.pendingChunks,
    ),
    single("equipoise_journal_commits_total", "counter", "Commits of the journal.", journal.commits),
    single(
      "equipoise_events_total",
      "counter",
      "Events that were logged, by their name.",
      Array.from(events, ([event, value]) => ({ labels: { event }, value })),
    ),
  ];
}

function poolFamilies(pools: readonly PoolSnapshot[]): Family[] {
  const of = (name: string, type: Type, help: string, value: (pool: PoolSnapshot) => number): Family =>
    single(
      `equipoise_pool_${name}`,
      type,
      help,
      pools.map((pool) => ({ labels: { pool: pool.name }, value: value(pool) })),
    );
  return [
    of("members", "gauge", "Members of the pool.", ({ members }) => members),
    of("backlog_messages", "gauge", "Messages that nobody holds.", ({ backlog }) => backlog),
    of(
      "backlog_bytes",
      "gauge",
      "Bytes of everything that is not settled.",
      ({ backlogBytes }) => backlogBytes,
    ),
    of("in_flight_messages", "gauge", "Messages that members hold.", ({ inFlight }) => inFlight),
    of(
      "free_credit_messages",
      "gauge",
      "Messages that members would take now.",
      ({ freeCredit }) => freeCredit,
    ),
    of("settled_messages_total", "counter", "Messages that are done.", ({ settled }) => settled),
    of(
      "redelivered_messages_total",
      "counter",
      "Deliveries after the first.",
      ({ redelivered }) => redelivered,
    ),
    of(
      "rescued_messages_total",
      "counter",
      "Messages taken back from frozen members.",
      ({ rescued }) => rescued,
    ),
    of("panic", "gauge", "1 while health is ignored because too little of the pool is well.", ({ panic }) =>
      panic ? 1 : 0,
    ),
    of("dropped_messages_total", "counter", "Messages dropped at a full backlog.", ({ dropped }) => dropped),
  ];
}

interface PoolMember {
  pool: PoolSnapshot;
  member: MemberReport;
}

function memberFamilies(members: readonly PoolMember[]): Family[] {
  const of = (
    name: string,
    type: Type,
    help: string,
    value: (member: MemberReport) => number | null,
  ): Family =>
    single(
      `equipoise_member_${name}`,
      type,
      help,
      members.flatMap(({ pool, member }) => {
        const labels = { pool: pool.name, client: member.clientId };
        const known = value(member);
        return known === null ? [] : [{ labels, value: known }];
      }),
    );
  const seconds = (ms: number | null): number | null => (ms === null ? null : ms / 1_000);
  return [
    of("in_flight_messages", "gauge", "Messages that the member holds.", ({ inFlight }) => inFlight),
    of("credit_messages", "gauge", "Messages that it may hold.", ({ credit }) => credit),
    of("settled_messages_total", "counter", "Messages that it has finished.", ({ settled }) => settled),
    of(
      "ack_latency_seconds",
      "gauge",
      "Time to its PUBACK, smoothed; absent before the first.",
      ({ ackLatencyMs }) => seconds(ackLatencyMs),
    ),
    of(
      "service_seconds",
      "gauge",
      "Time that a message is expected to take it; absent while unknown.",
      ({ serviceMs }) => seconds(serviceMs),
    ),
    of("health", "gauge", "0 healthy, 1 degraded, 2 unhealthy.", ({ health }) =>
      healthStates.indexOf(health),
    ),
    of("error_ratio", "gauge", "Share of messages that it failed of late.", ({ errorRate }) => errorRate),
    of("timeouts_total", "counter", "Messages that it held for too long.", ({ timeouts }) => timeouts),
  ];
}

function single(name: string, type: Type, help: string, value: number | readonly Sample[]): Family {
  return { name, type, help, samples: typeof value === "number" ? [{ value }] : value };
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
