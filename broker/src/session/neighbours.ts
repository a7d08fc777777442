/** The other brokers of a cluster, as sessions see them. */
import type { KeptSession, QueueId } from "../journal/journal.ts";
import type { Feed } from "../pool/feed.ts";

export interface Owned {
  /** Another broker had the client last. */
  moved: boolean;
  /** Its session, if one is kept for it. */
  kept: KeptSession | undefined;
}

export interface Neighbours extends Feed {
  /** What matches the filter is wanted here, for a session that ends with its connection. */
  want(filter: string): void;
  wantNoMore(filter: string): void;
  /**
   * A client connects here: no other broker has it from now on, nor its queue.
   * @throws EquipoiseError EQ_ENGINE_AWAY
   */
  own(clientId: string, clean: boolean): Promise<Owned>;
  /** The client has connected here; if it has connected elsewhere since it was owned, it goes again. */
  confirm(clientId: string): void;
  /** Nothing that this broker holds of the queue is its own any more; what it takes next begins with what was released. */
  giveUp(queue: QueueId): void;
  /** If this broker dies with the client connected, another one publishes this frame. */
  keepWill(clientId: string, frame: Buffer): void;
  /** The client's connection has ended while the broker lives. */
  forgetWill(clientId: string): void;
  /** The client has gone. */
  disown(clientId: string, clean: boolean): void;
}
