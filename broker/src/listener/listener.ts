/** Contract: an address that accepts connections, and a connection as it gives it on. */

/** What the gate needs of a client's byte stream; sockets of `node:net` and `node:tls` have it as they are. */
export interface Wire {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  /** Bytes written and not yet taken by the system. */
  readonly writableLength: number;
  /** @param done called when the system has taken the bytes, or never will */
  write(bytes: Uint8Array, done?: () => void): boolean;
  pause(): unknown;
  resume(): unknown;
  on(event: "data", listener: (bytes: Buffer) => void): unknown;
  on(event: "drain" | "close", listener: () => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  removeAllListeners(event: "data"): unknown;
  /** Calls back when nothing has moved for that long. */
  setTimeout(idleMs: number, listener: () => void): unknown;
  /** Ends when everything written has gone out. */
  destroySoon(): void;
  destroy(): unknown;
}

/** A connection that has come through its listener. */
export interface Arrival {
  wire: Wire;
  /** The name in the client's certificate, which was verified. */
  certifiedName: string | undefined;
}

export interface Listener {
  /** Begins to accept; the returned URL has the bound port. */
  start(onArrival: (arrival: Arrival) => void): Promise<string>;
  /** Reads certificates again; connections that exist go on with the old ones. */
  reload(): Promise<void>;
  /** Accepts no more; connections that were accepted go on. */
  stop(): Promise<void>;
}
