import type { Listener } from "./listener.ts";
import { TcpListener } from "./tcp.ts";

export type { Listener } from "./listener.ts";

/** The listener for a URL of the configuration, which has checked its scheme. */
export function createListener(url: string): Listener {
  return new TcpListener(new URL(url));
}

const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** True when only this machine can reach the URL's host. */
export function isLoopback(url: string): boolean {
  return loopback.test(new URL(url).hostname);
}
