/** What `npm start` shows: a live picture on a terminal, a line now and then elsewhere. */
import { styleText } from "node:util";
import type { BrokerHeartbeat, MemberReport } from "@equipoise/shared";
import type { Frame } from "../support/display.ts";

export interface Snapshot {
  elapsedMs: number;
  speed: string;
  read: number;
  acknowledged: number;
  delivered: number;
  duplicates: number;
  ticksPerSecond: number;
  /** Of the recording, 0 to 1; null while unknown. */
  done: number | null;
  waiting: number;
  heartbeat: BrokerHeartbeat | undefined;
  members: readonly { clientId: string; workMs: number; handled: number; perSecond: number }[];
}

const barWidth = 24;

const number = (value: number, width: number): string =>
  Math.round(value).toLocaleString("en-US").padStart(width);

export const frameOf = (snapshot: Snapshot): Frame => ({
  elapsedMs: snapshot.elapsedMs,
  picture: picture(snapshot),
  plainLine: plainLine(snapshot),
});

function plainLine({ read, acknowledged, delivered, heartbeat, members, elapsedMs }: Snapshot): string {
  const perSecond = members.reduce((sum, member) => sum + member.perSecond, 0);
  const backlog = heartbeat?.pools[0]?.backlog ?? 0;
  const shares = members.map(({ clientId, handled }) => `${clientId} ${handled}`).join(", ");
  const seconds = Math.round(elapsedMs / 1_000);
  return `${seconds} s: read ${read}, acknowledged ${acknowledged}, delivered ${delivered} (${shares}), ${Math.round(perSecond)} delivered/s, backlog ${backlog}`;
}

function picture(snapshot: Snapshot): string[] {
  const { heartbeat, read, acknowledged, delivered, duplicates, ticksPerSecond, waiting, speed, done } =
    snapshot;
  const pool = heartbeat?.pools[0];
  const pace =
    { max: "as fast as it goes", realtime: "at real pace" }[speed] ?? `at ${speed} times real pace`;
  return [
    styleText("bold", "Equipoise") + styleText("dim", `  Binance BTCUSDT, recorded on 2024-08-08, ${pace}`),
    "",
    `  replay   ${done === null ? "".padEnd(barWidth) : bar(done)}  ${number(ticksPerSecond, 7)} ticks/s`,
    `  agent    read ${number(read, 9)}  in its buffer ${number(waiting, 6)}  acknowledged ${number(acknowledged, 9)}`,
    `  broker   backlog ${number(pool?.backlog ?? 0, 6)}  in flight ${number(pool?.inFlight ?? 0, 5)}  free credit ${number(pool?.freeCredit ?? 0, 5)}  ${heartbeat?.durability ?? ""}`,
    `  pool     delivered ${number(delivered, 9)}   duplicates ${number(duplicates, 4)}`,
    "",
    styleText("dim", "  member     work  share                ticks/s  latency  held/credit health"),
    ...snapshot.members.map((member) => memberRow(member, snapshot, pool?.memberReports)),
    "",
    styleText("dim", "  Ctrl-C stops"),
  ];
}

function memberRow(
  { clientId, workMs, handled, perSecond }: Snapshot["members"][number],
  { members }: Snapshot,
  reports: readonly MemberReport[] | undefined,
): string {
  const total = members.reduce((sum, member) => sum + member.handled, 0);
  const share = total === 0 ? 0 : handled / total;
  const report = reports?.find((other) => other.clientId === clientId);
  const latency = report?.ackLatencyMs == null ? "-" : `${report.ackLatencyMs.toFixed(1)} ms`;
  const held = report === undefined ? "-" : `${report.inFlight}/${report.credit}`;
  const percent = `${(share * 100).toFixed(1)} %`.padStart(7);
  const health = report?.health ?? "-";
  const colour = health === "HEALTHY" ? "green" : health === "UNHEALTHY" ? "red" : "yellow";
  return `  ${clientId.padEnd(8)} ${`${workMs} ms`.padStart(6)}  ${bar(share, 10)} ${percent}${number(perSecond, 9)} ${latency.padStart(8)} ${held.padStart(12)} ${styleText(colour, health)}`;
}

function bar(share: number, width = barWidth): string {
  const full = Math.round(Math.min(1, share) * width);
  return styleText("cyan", "█".repeat(full)) + styleText("dim", "░".repeat(width - full));
}
