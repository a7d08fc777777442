/**
 * The one table of coded errors. docs/errors.md is generated from the same words and a test keeps the two equal.
 * `cause` says what went wrong in general, `remedy` what the reader can do, `retryable` whether waiting can help.
 */
export const errorTable = {
  EQ_CONFIG_UNKNOWN_KEY: {
    cause: "the configuration has a key that does not exist",
    remedy: "correct or remove the key; --help lists every key",
    retryable: false,
  },
  EQ_CONFIG_BAD_VALUE: {
    cause: "a setting has a value that is not allowed",
    remedy: "use one of the values that the message names",
    retryable: false,
  },
  EQ_CONFIG_UNREADABLE: {
    cause: "the configuration file cannot be read or is not YAML",
    remedy: "check the path, the permissions and the syntax at the line that the message names",
    retryable: false,
  },
  EQ_CONFIG_BALANCING: {
    cause: "balancing rules cannot be read, or say something that is not allowed",
    remedy: "correct what the message names; docs/balancing-schema.md has the fields and their bounds",
    retryable: false,
  },
  EQ_USAGE: {
    cause: "the command line is not understood",
    remedy: "run the command with --help",
    retryable: false,
  },
  EQ_PROGRAM_MISSING: {
    cause: "a program that is needed is not installed",
    remedy: "install the package that the message names",
    retryable: false,
  },
  EQ_PORT_IN_USE: {
    cause: "another program already listens on the address",
    remedy: "stop it, or choose another address where this one was given (port 0 takes any free one)",
    retryable: true,
  },
  EQ_LISTEN_FAILED: {
    cause: "the address cannot be listened on",
    remedy: "check that the host is one of this machine's and that the port may be used by this user",
    retryable: true,
  },
  EQ_ANONYMOUS_REFUSED: {
    cause: "a listener is reachable from other machines and nobody would have to authenticate",
    remedy: "give a --users-file, listen on 127.0.0.1, or say --allow-anonymous to accept the risk",
    retryable: false,
  },
  EQ_USERS_INVALID: {
    cause: "the users file cannot be read, or says something that is not allowed",
    remedy: "correct it at the place that the message names, or write it with equipoise-broker users",
    retryable: false,
  },
  EQ_TLS_UNUSABLE: {
    cause: "a certificate, a key or a list of authorities cannot be used for TLS",
    remedy: "check the file that the message names; equipoise-broker certs makes a working set",
    retryable: false,
  },
  EQ_FILE_EXISTS: {
    cause: "a file with a key or a certificate would be overwritten",
    remedy: "choose another name or directory, or say --force to replace it",
    retryable: false,
  },
  EQ_FILE_UNWRITABLE: {
    cause: "a file that was asked for cannot be written",
    remedy: "check the directory, the permissions and the space on the disk, or choose another path",
    retryable: false,
  },
  EQ_NOT_AUTHORISED: {
    cause: "the client is not who it says, or may not do what it asks",
    remedy: "check user name, password, client id and what the users file grants to the user",
    retryable: false,
  },
  EQ_DATA_DIR_UNUSABLE: {
    cause: "the data directory cannot be created, read or written",
    remedy: "make it writable for this user, or choose another with --data-dir",
    retryable: false,
  },
  EQ_SYSTEM_UNSUPPORTED: {
    cause: "this system cannot store anything on disk: SQLite has no binary for its processor",
    remedy:
      "install a 64-bit system (on a Raspberry Pi the 64-bit OS); a broker can do without: --durability memory",
    retryable: false,
  },
  EQ_DATA_DIR_BUSY: {
    cause: "another running process holds the data directory",
    remedy: "stop that process, or give this one a directory of its own with --data-dir",
    retryable: true,
  },
  EQ_AGENT_ID_CHANGED: {
    cause: "the data directory holds undelivered ticks of another agent id",
    remedy: "start with that --agent-id until they are delivered, or choose another --data-dir",
    retryable: false,
  },
  EQ_STORE_FULL: {
    cause: "the disk is full",
    remedy:
      "free space on the disk; work goes on by itself, and nothing accepted is lost unless it is stopped before",
    retryable: true,
  },
  EQ_TICKS_UNSTORED: {
    cause: "the agent was stopped while the disk took no writes",
    remedy: "these ticks are lost; a gap record tells of them after the next start; free space on the disk",
    retryable: false,
  },
  EQ_QUEUE_LAYOUT: {
    cause: "the cluster keeps the order of a queue in another way than this broker",
    remedy: "say the same ordering and key on all brokers, or bring this one up to date; see docs/cluster.md",
    retryable: true,
  },
  EQ_SHARD_LOST: {
    cause: "another broker owns the messages of these keys by now",
    remedy: "nothing has to be done: it delivers them",
    retryable: false,
  },
  EQ_STORE_FAILED: {
    cause: "the database reported an input/output error",
    remedy: "check the disk and the system log; what was not stored was not acknowledged",
    retryable: true,
  },
  EQ_STORE_DAMAGED: {
    cause: "a database file is damaged",
    remedy:
      "it was set aside under the name that the message gives and a new one was begun; keep it for recovery",
    retryable: false,
  },
  EQ_STORE_NEWER: {
    cause: "the database was written by a newer version",
    remedy: "run that version or newer, or choose another data directory",
    retryable: false,
  },
  EQ_ENGINE_AWAY: {
    cause: "the cluster's Redis cannot be reached, or does not answer",
    remedy:
      "check that it runs and that --redis names it; nothing is acknowledged meanwhile, and work goes on by itself",
    retryable: true,
  },
  EQ_ENGINE_UNFIT: {
    cause: "the cluster's Redis cannot keep what is acknowledged",
    remedy: "use Redis 7.0 or newer, or Valkey, with maxmemory-policy noeviction",
    retryable: false,
  },
  EQ_BROKER_ID_TAKEN: {
    cause: "another running broker of the cluster has this id",
    remedy: "give each broker an id of its own with --broker-id",
    retryable: true,
  },
  EQ_BROKER_UNREACHABLE: {
    cause: "no connection to the broker",
    remedy:
      "check that it runs and that --broker names its address; ticks stay in the buffer and retries go on",
    retryable: true,
  },
  EQ_BROKER_REFUSED: {
    cause: "the broker refused the connection",
    remedy: "check user name, password and client id, and the broker's log",
    retryable: false,
  },
  EQ_BROKER_UNTRUSTED: {
    cause: "there was no agreement on TLS with the broker: one side does not accept the other's certificate",
    remedy:
      "check that the CA file holds the authority of the broker's certificate, that the URL uses one of its names, and that the broker accepts this client's certificate",
    retryable: false,
  },
  EQ_ACKS_MISSING: {
    cause: "the broker is there and did not acknowledge what it was sent",
    remedy:
      "see the broker's log; the ticks are sent again on a new connection, to another broker where there is one",
    retryable: true,
  },
  EQ_CONTROL_UNREACHABLE: {
    cause: "nobody answers on the control socket",
    remedy: "check that the service runs on this machine as this user, and name its --data-dir or --control",
    retryable: true,
  },
  EQ_CONTROL_REFUSED: {
    cause: "the service did not do what was asked",
    remedy: "see what the message says",
    retryable: false,
  },
  EQ_SUBSCRIBE_REFUSED: {
    cause: "the broker refused the subscription",
    remedy: "check the filter and what this user may subscribe to",
    retryable: false,
  },
  EQ_SOURCE_UNREADABLE: {
    cause: "a tick source cannot be opened or read",
    remedy: "check the path, the permissions, and that a .gz is gzip and whole",
    retryable: false,
  },
  EQ_SOURCE_BAD_RECORD: {
    cause: "a line, frame or record of a tick source is not a trade",
    remedy: "it was skipped and counted; correct the source if it should have been a trade",
    retryable: false,
  },
  EQ_SOURCE_UNREACHABLE: {
    cause: "no connection to a venue",
    remedy:
      "check the network and the venue's status page; retries go on, what was missed becomes a gap record",
    retryable: true,
  },
  EQ_SOURCE_REFUSED: {
    cause: "a venue refused a subscription",
    remedy: "check that the venue has the symbol and how it is written there",
    retryable: false,
  },
  EQ_RECORD_INVALID: {
    cause: "a payload is not a valid record",
    remedy: "see interfaces in docs/payloads.md for the fields and their forms",
    retryable: false,
  },
  EQ_REQUEST_INVALID: {
    cause: "a request to an agent is not understood",
    remedy: "see docs/requests.md for the methods and their fields",
    retryable: false,
  },
  EQ_REQUEST_UNANSWERED: {
    cause: "an agent did not answer a request",
    remedy: "check that the agent is connected to this broker and that this user may send it requests",
    retryable: true,
  },
  EQ_TOPIC_INVALID: {
    cause: "a topic or filter breaks the rules of MQTT or of Equipoise",
    remedy:
      "use non-empty UTF-8 without U+0000; wildcards only in filters, alone in their level, # only last",
    retryable: false,
  },
  EQ_PROTOCOL_VIOLATION: {
    cause: "a client sent bytes that MQTT forbids",
    remedy: "the connection was closed; check the client library and its version",
    retryable: false,
  },
  EQ_LIMIT_REACHED: {
    cause: "a configured limit was reached",
    remedy:
      "reduce the load, or raise the limit that the message names; where it is space that must stay free, make some or lower it",
    retryable: true,
  },
  EQ_HANDLER_FAILED: {
    cause: "the application's handler failed on a record",
    remedy:
      "the record goes to another member and, after too many attempts, to the dead letters; see the handler's error",
    retryable: true,
  },
} as const satisfies Record<string, { cause: string; remedy: string; retryable: boolean }>;

export type ErrorCode = keyof typeof errorTable;

/** An expected failure ("weather"): carries a code of the table and one line that names the thing concerned. */
export class EquipoiseError extends Error {
  override readonly name = "EquipoiseError";
  readonly code: ErrorCode;

  /**
   * @param code a code of {@link errorTable}
   * @param detail what exactly, e.g. the path and the system's own word; without a final full stop
   */
  constructor(code: ErrorCode, detail: string, options?: { cause?: unknown }) {
    super(detail, options);
    this.code = code;
  }

  get retryable(): boolean {
    return errorTable[this.code].retryable;
  }

  /** The whole message for people: what, why, what to do, on one line. */
  get line(): string {
    const { cause, remedy } = errorTable[this.code];
    return `${this.code}: ${this.message} (${cause}). Remedy: ${remedy}.`.replace(/\s*\n\s*/g, " ");
  }
}

/** The system's error code (`ENOENT`, `EADDRINUSE`, `SQLITE_FULL`) of an unknown thrown value, or `undefined`. */
export function systemCode(error: unknown): string | undefined {
  if (typeof error !== "object" || error === null || !("code" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** The message of an unknown thrown value, on one line. */
export function reasonOf(error: unknown): string {
  // Several failed connections at once (`localhost` is two addresses) come as one error without a message.
  const text =
    opensslReason(error) ??
    (error instanceof Error ? error.message || systemCode(error) || error.name : String(error));
  return text.replace(/\s*\n\s*/g, " ").trim();
}

/** OpenSSL's own words without its numbers and file names. */
function opensslReason(error: unknown): string | undefined {
  if (!(error instanceof Error) || !systemCode(error)?.startsWith("ERR_SSL_")) return undefined;
  return "reason" in error && typeof error.reason === "string" ? error.reason : undefined;
}
