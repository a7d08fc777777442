/** What the control socket answers to `equipoise-agent status`, `buffer` and `export`. */
import { type AgentHeartbeat, type ControlAnswer, ControlSocket } from "@equipoise/shared";
import type { Archive } from "../requests/archive.ts";

export interface AgentControlOptions {
  path: string;
  archive: Archive;
  state: () => AgentHeartbeat;
}

/** One stream as `equipoise-agent buffer` shows it. */
export interface StreamStatus {
  venue: string;
  symbol: string;
  /** The newest trade as JSON; null before the first since the start. */
  latest: string | null;
  /** The oldest record that is still here, as JSON; null when there is none. */
  oldest: string | null;
  /** The newest one, also from before the start. */
  newest: string | null;
}

export interface BufferStatus {
  epoch: string;
  buffer: AgentHeartbeat["buffer"];
  streams: StreamStatus[];
}

const maxPageRecords = 1_000;
/** To the newest. */
const toSeq = Number.MAX_SAFE_INTEGER;

export class AgentControl {
  readonly #options: AgentControlOptions;
  readonly #socket: ControlSocket;

  constructor(options: AgentControlOptions) {
    this.#options = options;
    this.#socket = new ControlSocket(options.path, (method, url) => this.#answer(method, url));
  }

  /** @throws Error why there is no control socket; the agent works without one */
  async start(): Promise<void> {
    await this.#socket.start();
  }

  async stop(): Promise<void> {
    await this.#socket.stop();
  }

  async #answer(method: string, url: URL): Promise<ControlAnswer> {
    switch (`${method} ${url.pathname}`) {
      case "GET /status":
        return { status: 200, body: this.#options.state() };
      case "GET /buffer":
        return { status: 200, body: await this.#buffer() };
      case "GET /records":
        return { status: 200, body: await this.#records(url.searchParams) };
      default:
        return { status: 404, body: { error: `there is no ${method} ${url.pathname}` } };
    }
  }

  async #buffer(): Promise<BufferStatus> {
    const { archive, state } = this.#options;
    const streams: StreamStatus[] = [];
    for (const { venue, symbol, seq } of archive.streams()) {
      const [oldest = null] = await archive.range({ venue, symbol, fromSeq: 1, toSeq }, 1);
      const [newest = null] = await archive.range({ venue, symbol, fromSeq: seq, toSeq }, 1);
      streams.push({ venue, symbol, latest: archive.latest(venue, symbol) ?? null, oldest, newest });
    }
    return { epoch: archive.epoch, buffer: state().buffer, streams };
  }

  async #records(query: URLSearchParams): Promise<string[]> {
    const [venue, symbol] = [query.get("venue") ?? "", query.get("symbol") ?? ""];
    const fromSeq = Number(query.get("fromSeq") ?? 1);
    return await this.#options.archive.range({ venue, symbol, fromSeq, toSeq }, maxPageRecords);
  }
}
