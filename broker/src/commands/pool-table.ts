/** Pools and their choices for people, 80 columns wide where the names allow. */
import type { MemberReport } from "@equipoise/shared";
import type { PoolStatus, PoolsStatus } from "../control/pool-operations.ts";
import type { Decision } from "../pool/decisions.ts";

export function poolTable({ broker, pools }: PoolsStatus): string {
  if (pools.length === 0) return `${broker}: no pools`;
  return pools.map((pool) => describe(pool, broker)).join("\n\n");
}

function describe(pool: PoolStatus, broker: string): string {
  const { name, declared, strategy, health, ordering, filters } = pool;
  const order = ordering === "none" ? "" : ", ordered by key";
  const head = `${name}  ${declared ? "declared" : "undeclared"}, ${strategy}, ${health} health${order}, ${filters.join(" ")}`;
  const panic = pool.panic ? ["  PANIC: too few members are well; health is ignored"] : [];
  return [head, ...stateOf(pool), ...panic, ...membersOf(pool, broker)].join("\n");
}

function stateOf(pool: PoolStatus): string[] {
  const { backlog, backlogBytes, maxBacklogBytes, whenFull, inFlight, freeCredit } = pool;
  const share = maxBacklogBytes === 0 ? 0 : Math.round((backlogBytes / maxBacklogBytes) * 100);
  const bound = `${share} % of ${size(maxBacklogBytes)}, then ${whenFull}`;
  const { settled, redelivered, rescued, dropped, deadLetters } = pool;
  return [
    `  backlog ${count(backlog)} (${bound})  in flight ${count(inFlight)}  free credit ${count(freeCredit)}`,
    `  settled ${count(settled)}  redelivered ${count(redelivered)}  rescued ${count(rescued)}  dropped ${count(dropped)}  dead letters ${count(deadLetters)}`,
  ];
}

function membersOf({ memberReports: members }: PoolStatus, broker: string): string[] {
  // Where brokers are a cluster the pool may have members at others.
  if (members.length === 0) return [`  no members at ${broker}`];
  const width = Math.max(8, ...members.map(({ clientId }) => clientId.length));
  const rows = members.toSorted((a, b) => (a.clientId < b.clientId ? -1 : 1));
  const total = members.reduce((sum, { takenInMinute }) => sum + takenInMinute, 0);
  const columns = `  ${"member".padEnd(width)}  health     held/credit   share   service     score    settled`;
  return [columns, ...rows.flatMap((member) => memberRows(member, width, total))];
}

function memberRows(member: MemberReport, width: number, total: number): string[] {
  const { clientId, inFlight, credit, takenInMinute, serviceMs, score, settled } = member;
  const state = member.draining ? "DRAINING" : member.health;
  const share = total === 0 ? "-" : `${Math.round((takenInMinute / total) * 100)} %`;
  const cells = [
    clientId.padEnd(width),
    state.padEnd(9),
    `${inFlight}/${credit}`.padStart(12),
    share.padStart(6),
    (serviceMs === null ? "-" : milliseconds(serviceMs)).padStart(8),
    (score === null ? "-" : number(score)).padStart(8),
    count(settled).padStart(9),
  ];
  const remarks = remarksOf(member);
  return [
    `  ${cells.join("  ")}`,
    ...(remarks.length === 0 ? [] : [`  ${"".padEnd(width)}  ${remarks.join("; ")}`]),
  ];
}

/** What explains a member's share beside its figures. */
function remarksOf(member: MemberReport): string[] {
  const { health, healthReason, healthForMs, guest, weight, extraWork, errorRate, acknowledgesEarly } =
    member;
  const remarks: string[] = [];
  if (healthReason !== "") remarks.push(`${health.toLowerCase()} for ${ago(healthForMs)}: ${healthReason}`);
  if (guest) remarks.push("helps out");
  if (weight !== 1) remarks.push(`weight ${weight}`);
  if (extraWork > 0) remarks.push(`reports ${Math.round(extraWork)} more to do`);
  if (errorRate >= 0.01) remarks.push(`failed ${Math.round(errorRate * 100)} %`);
  if (acknowledgesEarly) remarks.push("acknowledges before it works");
  return remarks;
}

/** One line for each choice, such as `m3 of 4.1 against m1 6.0, m2 7.7`. */
export function decisionTable(decisions: readonly Decision[]): string {
  if (decisions.length === 0) return "no choices yet";
  return decisions.map(explain).join("\n");
}

function explain({ timeMs, topic, waiting, picked, weighed, leftOut }: Decision): string {
  const name = ({ clientId, score, inFlight, credit }: Decision["weighed"][number]): string =>
    `${clientId} ${score === null ? "" : `${number(score)} `}(${inFlight}/${credit})`;
  const chosen = weighed.find(({ clientId }) => clientId === picked);
  const others = weighed
    .filter((one) => one !== chosen)
    .sort((a, b) => (a.score ?? 0) - (b.score ?? 0))
    .map(name);
  const against = others.length === 0 ? "" : ` against ${others.join(", ")}`;
  const what =
    chosen === undefined
      ? `waits, for that is sooner than who has credit: ${others.join(", ")}`
      : `${name(chosen)}${against}`;
  const out = leftOut.map(({ clientId, reason }) => `${clientId} is ${reason}`);
  const time = new Date(timeMs).toISOString().slice(11, 23);
  return [`${time}  ${topic}, ${count(waiting)} waiting: ${what}`, ...out].join("; ");
}

const count = (value: number): string => value.toLocaleString("en-US");
const number = (value: number): string => (value >= 100 ? count(Math.round(value)) : value.toPrecision(2));
const milliseconds = (value: number): string => `${number(value)} ms`;
const ago = (timeMs: number): string => `${count(Math.round(timeMs / 1_000))} s`;

function size(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  return `${Math.round((bytes / 2 ** (10 * step)) * 10) / 10} ${units[step]}`;
}
