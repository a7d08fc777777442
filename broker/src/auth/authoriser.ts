/** Contract: who may connect, and what a connected client may do. */
import type { TopicMeaning } from "@equipoise/shared";

/** What a client shows when it connects. */
export interface Credentials {
  clientId: string;
  /** Remote IP address, without the port. */
  address: string;
  userName: string | undefined;
  password: Buffer | undefined;
  /** The name in a client certificate that the listener has verified. */
  certifiedName: string | undefined;
}

/** What one client may do. Asked once per topic and connection, so it may be thorough. */
export interface Access {
  /** Why the client may be connected no longer; looked at when the users were read again. */
  refusal(): string | undefined;
  mayPublish(topic: string, meaning: TopicMeaning): boolean;
  /** @param filter without `$share/{pool}/`: a pool is authorised as its filter */
  maySubscribe(filter: string): boolean;
}

/** A tagged answer; the refusal is for the log, the client learns only that it was refused. */
export type Admission = { access: Access } | { refusal: string };

export interface Authoriser {
  /** @throws EquipoiseError EQ_LIMIT_REACHED when too many wait for the same decision; that is not the client's fault */
  admit(credentials: Credentials): Promise<Admission>;
}
