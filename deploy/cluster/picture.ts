/** What `npm run cluster` shows: a live picture on a terminal, a line now and then elsewhere. */
import { styleText } from "node:util";
import type { BrokerHeartbeat } from "@equipoise/shared";
import type { Frame } from "../support/display.ts";

export interface View {
  elapsedMs: number;
  read: number;
  acknowledged: number;
  waiting: number;
  /** Where the agent is connected. */
  agentAt: string;
  delivered: number;
  duplicates: number;
  longestPauseMs: number;
  brokers: readonly { id: string; heartbeat: BrokerHeartbeat | undefined }[];
  members: readonly { clientId: string; workMs: number; handled: number; at: string }[];
  /** The newest last. */
  events: readonly string[];
}

export const frameOf = (view: View): Frame => ({
  elapsedMs: view.elapsedMs,
  picture: picture(view),
  plainLine: plainLine(view),
});

function plainLine({ elapsedMs, acknowledged, delivered, duplicates, brokers, members }: View): string {
  const states = brokers.map(({ id, heartbeat }) => `${id} ${stateOf(heartbeat)}`).join(", ");
  const shares = members.map(({ clientId, handled, at }) => `${clientId} ${handled} at ${at}`).join(", ");
  const counts = `acknowledged ${acknowledged}, delivered ${delivered}, duplicates ${duplicates}`;
  return `${Math.round(elapsedMs / 1_000)} s: ${counts}; ${states}; ${shares}`;
}

function picture(view: View): string[] {
  const { read, acknowledged, waiting, agentAt, delivered, duplicates, longestPauseMs, events } = view;
  return [
    styleText("bold", "Equipoise") +
      styleText("dim", "  3 brokers, 3 Redis, 3 Sentinels; PUBACK after 1 replica"),
    "",
    `  agent    read ${pad(read)}  in its buffer ${pad(waiting)}  acknowledged ${pad(acknowledged)}  at ${agentAt}`,
    `  pool     delivered ${pad(delivered)}  duplicates ${pad(duplicates)}  longest pause ${Math.round(longestPauseMs)} ms`,
    "",
    styleText("dim", "  broker      state      clients  in flight  free credit  backlog"),
    ...view.brokers.map(brokerRow),
    "",
    styleText("dim", "  member   work        ticks  at"),
    ...view.members.map(
      ({ clientId, workMs, handled, at }) =>
        `  ${clientId.padEnd(8)} ${`${workMs} ms`.padStart(5)} ${pad(handled)}  ${at}`,
    ),
    "",
    ...events.map((text) => `  ${text}`),
    styleText("dim", "  Ctrl-C stops"),
  ];
}

function brokerRow({ id, heartbeat }: View["brokers"][number]): string {
  const state = stateOf(heartbeat);
  const colour = state === "up" ? "green" : state === "away" ? "red" : "yellow";
  const [pool] = heartbeat?.pools ?? [];
  const figures = [heartbeat?.connections, pool?.inFlight, pool?.freeCredit, pool?.backlog];
  const columns = figures.map((figure, at) => String(figure ?? "-").padStart([7, 10, 12, 8][at] ?? 0));
  return `  ${id.padEnd(11)} ${styleText(colour, state.padEnd(9))} ${columns.join(" ")}`;
}

function stateOf(heartbeat: BrokerHeartbeat | undefined): string {
  if (heartbeat === undefined || Date.now() > heartbeat.expiresTimeMs) return "away";
  return heartbeat.state;
}

const pad = (value: number): string => String(value).padStart(9);
