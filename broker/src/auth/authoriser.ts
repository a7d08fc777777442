/** Contract: who may connect, publish and subscribe. Asked once per topic and connection, so it may be thorough. */
import type { TopicMeaning } from "@equipoise/shared";

export interface Authoriser {
  /** Undefined when the client may connect; otherwise why not. */
  refusal(clientId: string, username: string | undefined, password: Buffer | undefined): string | undefined;
  mayPublish(clientId: string, topic: string, meaning: TopicMeaning): boolean;
  /** @param filter without `$share/{pool}/`: a pool is authorised as its filter */
  maySubscribe(clientId: string, filter: string): boolean;
}
