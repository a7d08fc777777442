/**
 * Whether the primary that a broker has connected to is the primary still. Sentinels that have begun to replace it go on
 * although it is back, and a replica that they have not turned away from it yet still counts for WAIT: what such a
 * primary and such a replica have together is lost. So nothing is acknowledged on a primary that the broker comes back
 * to, before all Sentinels that can be asked, and more than half of them, have no doubt of it. From then on it cannot be
 * replaced without a silence that the broker notices, too: `down-after-milliseconds` must be 1,000 or more.
 */
import type { Clock } from "@equipoise/shared";
import { Redis, type RedisOptions } from "ioredis";

/** Sentinels have asked the primary once more by then. */
const settleMs = 1_000;
const askPeriodMs = 200;
const askTimeoutMs = 500;
/** What a Sentinel says of a primary that it is about to replace. */
const doubts = /[so]_down|failover_in_progress|disconnected/;

/** The other end of the connection. */
export interface Peer {
  host: string;
  port: number;
}

export class Confirmation {
  readonly #address: RedisOptions;
  readonly #clock: Clock;
  #last: Peer | undefined;
  #given = false;
  #cancel = (): void => {};

  constructor(address: RedisOptions, clock: Clock) {
    this.#address = address;
    this.#clock = clock;
  }

  /** What replicas have is safe. Always so without Sentinels, for then nobody replaces anything. */
  get given(): boolean {
    return this.#given;
  }

  /** There is a connection. One to another primary than before is to one that has just been made it. */
  begin(peer: Peer): void {
    const same = this.#last === undefined || (this.#last.host === peer.host && this.#last.port === peer.port);
    this.#last = peer;
    this.#given = this.#address.sentinels === undefined || !same;
    if (!this.#given) this.#askLater(settleMs, peer);
  }

  /** The connection is lost. */
  revoke(): void {
    this.#given = false;
    this.#cancel();
  }

  #askLater(delayMs: number, peer: Peer): void {
    this.#cancel = this.#clock.after(delayMs, () => void this.#ask(peer));
  }

  async #ask(peer: Peer): Promise<void> {
    let stale = false;
    this.#cancel = () => {
      stale = true;
    };
    const { sentinels = [] } = this.#address;
    const answers = await Promise.all(sentinels.map((sentinel) => this.#question(sentinel)));
    if (stale) return;
    const known = answers.filter((answer) => answer !== undefined);
    this.#given = known.length > sentinels.length / 2 && known.every((answer) => names(answer, peer));
    if (!this.#given) this.#askLater(askPeriodMs, peer);
  }

  /** What a Sentinel says of the primary, or `undefined` when it does not answer. */
  async #question({ host, port }: { host?: string; port?: number }): Promise<Said | undefined> {
    const { name = "", sentinelPassword, sentinelTLS } = this.#address;
    const sentinel = new Redis({
      ...{ lazyConnect: true, retryStrategy: null, maxRetriesPerRequest: 0, enableReadyCheck: false },
      ...{ connectTimeout: askTimeoutMs, commandTimeout: askTimeoutMs, disableClientInfo: true },
      ...(host === undefined ? {} : { host }),
      ...(port === undefined ? {} : { port }),
      ...(sentinelPassword == null ? {} : { password: sentinelPassword }),
      ...(sentinelTLS === undefined ? {} : { tls: sentinelTLS }),
    });
    // Told by the failure of what is asked.
    sentinel.on("error", () => {});
    try {
      await sentinel.connect();
      return saidOf((await sentinel.call("SENTINEL", "MASTER", name)) as string[] | Record<string, string>);
    } catch {
      return undefined;
    } finally {
      sentinel.disconnect();
    }
  }
}

interface Said {
  ip: string;
  port: number;
  flags: string;
}

function saidOf(reply: readonly string[] | Record<string, string>): Said {
  const entries = Array.isArray(reply)
    ? reply.flatMap((name, at) => (at % 2 === 0 ? [[name, reply[at + 1] ?? ""] as const] : []))
    : Object.entries(reply as Record<string, string>);
  const fields = new Map<string, string>(entries);
  const [ip = "", port = "", flags = ""] = ["ip", "port", "flags"].map((name) => fields.get(name));
  return { ip, port: Number(port), flags };
}

/** Where Sentinels go by host names the port has to do. */
function names({ ip, port, flags }: Said, peer: Peer): boolean {
  const isAddress = /^[\d.]+$|:/.test(ip);
  return !doubts.test(flags) && port === peer.port && (!isAddress || ip === peer.host);
}
