/** The door in front of every listener: counts connections from the first byte on, before TLS or anything else. */
import type { Socket } from "node:net";
import { addressKey } from "../auth/failures.ts";

export interface DoorLimits {
  /** Connections in total, those included that have not come through their listener yet. */
  maxConnections: number;
  maxConnectionsPerAddress: number;
  /** Time for a new connection to come through: the TLS handshake and the WebSocket upgrade. */
  connectTimeoutMs: number;
}

export interface DoorOptions {
  limits: DoorLimits;
  /** True while an address has failed to authenticate too often. */
  blocks: (address: string) => boolean;
  onRefused: (address: string, reason: string) => void;
}

export class Door {
  readonly limits: DoorLimits;
  readonly #options: DoorOptions;
  readonly #perAddress = new Map<string, number>();
  #count = 0;

  constructor(options: DoorOptions) {
    this.#options = options;
    this.limits = options.limits;
  }

  /** Lets a connection in, or closes it at once. */
  enter(socket: Socket, address: string): boolean {
    const host = socket.remoteAddress;
    // Without an address it has gone before it was looked at.
    const refusal = host === undefined ? "closed at once" : this.#refusal(host);
    if (host !== undefined && refusal === undefined) {
      this.#countIn(socket, addressKey(host));
      return true;
    }
    this.refuse(socket, address, refusal ?? "");
    return false;
  }

  /** Closes a connection that does not get to the gate. */
  refuse(socket: Socket, address: string, reason: string): void {
    this.#options.onRefused(address, reason);
    socket.destroy();
  }

  #refusal(address: string): string | undefined {
    const { maxConnections, maxConnectionsPerAddress } = this.limits;
    if (this.#count >= maxConnections) return `maxConnections is ${maxConnections}`;
    if ((this.#perAddress.get(addressKey(address)) ?? 0) >= maxConnectionsPerAddress)
      return `maxConnectionsPerAddress is ${maxConnectionsPerAddress}`;
    return this.#options.blocks(address) ? "too many failed attempts" : undefined;
  }

  #countIn(socket: Socket, key: string): void {
    this.#count++;
    this.#perAddress.set(key, (this.#perAddress.get(key) ?? 0) + 1);
    socket.once("close", () => {
      this.#count--;
      const left = (this.#perAddress.get(key) ?? 1) - 1;
      if (left === 0) this.#perAddress.delete(key);
      else this.#perAddress.set(key, left);
    });
  }
}
