/** Contract: an address that accepts connections. */
import type { Socket } from "node:net";

export interface Listener {
  /** Begins to accept; the returned URL has the bound port. */
  start(onConnection: (socket: Socket) => void): Promise<string>;
  /** Accepts no more; connections that were accepted go on. */
  stop(): Promise<void>;
}
