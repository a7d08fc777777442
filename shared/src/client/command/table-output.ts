/** A live view on a terminal: the newest tick of each stream, and below it the totals and the connection. */

import type { WriteStream } from "node:tty";
import { styleText } from "node:util";
import { createLogUpdate } from "log-update";
import type { Clock } from "../../clock.ts";
import { folded } from "../../command/fold.ts";
import type { ConsumerEvent } from "../consumer.ts";
import type { MissingTicks } from "../missing.ts";
import type { HandledRecord, Output, Status } from "./output.ts";
import { type StreamRow, StreamTable, showDuration } from "./stream-table.ts";

const refreshMs = 250;
/** Streams beyond it push out the one that has been silent longest (`dropOldest`). */
const maxStreams = 1_000;
/** Weight of the newest refresh in the shown rates, which so follow within about two seconds. */
const newestShare = 0.15;

interface StreamState {
  row: StreamRow;
  /** Ticks since the last refresh. */
  fresh: number;
}

export class TableOutput implements Output {
  readonly #terminal: WriteStream;
  readonly #clock: Clock;
  readonly #status: Status;
  readonly #table = new StreamTable();
  readonly #streams = new Map<string, StreamState>();
  readonly #update: ReturnType<typeof createLogUpdate>;
  #cancel = (): void => {};
  #refreshedMs = 0;
  #ticksPerS = 0;
  #state = "connecting …";
  #missing: { gaps: number; last: string } | undefined;

  constructor(terminal: WriteStream, clock: Clock, status: Status) {
    this.#terminal = terminal;
    this.#clock = clock;
    this.#status = status;
    this.#update = createLogUpdate(terminal);
  }

  start(): void {
    this.#refreshedMs = this.#clock.monotonicMs();
    this.#cancel = this.#clock.every(refreshMs, () => this.#refresh());
    this.#refresh();
  }

  show({ record, topic, latencyMs }: HandledRecord): void {
    const known = this.#streams.get(topic);
    this.#streams.delete(topic);
    const row = rowOf(record, topic, known?.row, latencyMs);
    this.#streams.set(topic, { row, fresh: (known?.fresh ?? 0) + 1 });
    if (this.#streams.size > maxStreams) this.#streams.delete(this.#streams.keys().next().value ?? "");
  }

  showMissing({ topic, reason, count, fromSeq, toSeq }: MissingTicks): void {
    const range = fromSeq === undefined ? "" : ` (seq ${fromSeq} to ${toSeq ?? "unknown"})`;
    const last = `${count ?? "unknown"} missing in ${topic}: ${reason}${range}`;
    this.#missing = { gaps: (this.#missing?.gaps ?? 0) + 1, last };
  }

  onEvent(event: ConsumerEvent): void {
    this.#state = stateLine(event) ?? this.#state;
  }

  stop(): void {
    this.#cancel();
    this.#state = "ended";
    this.#refresh();
    this.#update.done();
  }

  #refresh(): void {
    const nowMs = this.#clock.monotonicMs();
    this.#measure(Math.max(1, nowMs - this.#refreshedMs) / 1_000);
    this.#refreshedMs = nowMs;
    const { columns: width = 80, rows: height = 24 } = this.#terminal;
    const rows = [...this.#streams.values()].map(({ row }) => row).toSorted(byName);
    const footer = this.#footer(width - 1);
    const lines = this.#table.render(rows, width - 1, height - footer.length - 2);
    this.#update([...lines, "", ...footer].join("\n"));
  }

  /** Rates over the `elapsedS` since the last refresh, smoothed. */
  #measure(elapsedS: number): void {
    let total = 0;
    for (const state of this.#streams.values()) {
      state.row.ticksPerS += newestShare * (state.fresh / elapsedS - state.row.ticksPerS);
      total += state.fresh;
      state.fresh = 0;
    }
    this.#ticksPerS += newestShare * (total / elapsedS - this.#ticksPerS);
  }

  #footer(width: number): string[] {
    const { connected, received, handled, repeats, rejected, queued, running } = this.#status();
    // A message may hold many records.
    const counts = {
      messages: received,
      "records handled": handled,
      repeats,
      rejected,
      queued: queued + running,
    };
    const shown = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
    const totals = folded([...shown, `${this.#ticksPerS.toFixed(1)} ticks/s`].join(" · "), 0, width);
    const state = styled(connected ? "green" : "yellow", this.#state, width);
    if (this.#missing === undefined) return [...totals, ...state];
    const { gaps, last } = this.#missing;
    return [...totals, ...styled("red", `${gaps} ${gaps === 1 ? "gap" : "gaps"}; ${last}`, width), ...state];
  }
}

function styled(colour: "green" | "yellow" | "red", text: string, width: number): string[] {
  return folded(text, 0, width).map((line) => styleText(colour, line));
}

function byName(a: StreamRow, b: StreamRow): number {
  return nameOf(a) < nameOf(b) ? -1 : 1;
}

/** The separator sorts before every character of a name, so `binance` stands before `binance-usdm`. */
function nameOf({ venue, symbol, agent }: StreamRow): string {
  return `${venue}\n${symbol}\n${agent}`;
}

function rowOf(
  record: HandledRecord["record"],
  topic: string,
  known: StreamRow | undefined,
  latencyMs: number | undefined,
): StreamRow {
  const { agent, seq } = record;
  const ticksPerS = known?.ticksPerS ?? 0;
  if (record.type === "trade") {
    const { venue, symbol, price, size, side } = record;
    return { venue, symbol, agent, price, size, side, seq, ticksPerS, latencyMs };
  }
  const [, venue = "", symbol = ""] = topic.split("/");
  const before = known ?? { venue, symbol, price: "", size: "", side: "" as const };
  return { ...before, agent, seq, ticksPerS, latencyMs };
}

function stateLine(event: ConsumerEvent): string | undefined {
  if (event.event === "joined") return `reading ${event.filter} from ${event.broker} as ${event.clientId}`;
  if (event.event === "draining") return "finishing what was begun …";
  if (event.event !== "unreachable" && event.event !== "disconnected") return undefined;
  return `${event.event}: ${event.broker}: ${event.reason}; trying again in ${showDuration(event.retryInMs)}`;
}
