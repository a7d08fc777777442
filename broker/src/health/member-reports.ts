/** What members say: their heartbeats, and which messages they could not process. */
import { decodeMemberHeartbeat } from "@equipoise/shared";
import * as z from "zod";
import type { Events } from "../events.ts";
import type { Pools } from "../pool/pools.ts";
import type { Topic } from "../router/router.ts";
import type { Session } from "../session/session.ts";

const rejection = z.object({ packetId: z.int().min(1).max(65_535), reason: z.string().default("") });
const maxReasonLength = 256;

export class MemberReports {
  readonly #pools: Pools;
  readonly #events: Events;

  constructor(pools: Pools, events: Events) {
    this.#pools = pools;
    this.#events = events;
  }

  /** Takes a message on one of the members' topics; that the sender is the member has been checked. */
  take(session: Session, topic: Topic, payload: Buffer): void {
    if (topic.meaning.kind === "memberHeartbeat") this.#heartbeat(session, payload);
    if (topic.meaning.kind === "reject") this.#reject(session, payload);
  }

  #heartbeat(session: Session, payload: Buffer): void {
    const heartbeat = decodeMemberHeartbeat(payload);
    if (heartbeat === undefined) return this.#ignore(session, "not a heartbeat");
    for (const pool of this.#pools.of(session)) pool.member(session)?.heard(heartbeat);
  }

  #reject(session: Session, payload: Buffer): void {
    const parsed = rejection.safeParse(parseJson(payload));
    if (!parsed.success) return this.#ignore(session, 'a rejection is {"packetId":17,"reason":"…"}');
    const { packetId, reason } = parsed.data;
    const known = session.reject(packetId, reason.slice(0, maxReasonLength));
    if (!known) this.#ignore(session, `it does not hold packet ${packetId}`);
  }

  #ignore({ clientId }: Session, reason: string): void {
    this.#events.emit({ event: "heartbeat.ignored", clientId, reason });
  }
}

function parseJson(payload: Buffer): unknown {
  try {
    return JSON.parse(payload.toString("utf8"));
  } catch {
    return undefined;
  }
}
