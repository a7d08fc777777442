import type { Clock } from "@equipoise/shared";
import type { Door } from "./door.ts";
import type { Listener } from "./listener.ts";
import { type Passage, straight, TcpListener } from "./tcp.ts";
import { TlsPassage, type TlsSettings } from "./tls.ts";
import { WebSocketPassage, type WebSocketSettings } from "./web-socket.ts";

export { Door } from "./door.ts";
export type { Arrival, Listener } from "./listener.ts";

export interface ListenerSurroundings {
  tls: TlsSettings;
  webSocket: WebSocketSettings;
  door: Door;
  clock: Clock;
}

const defaultPorts = { "mqtt:": 1883, "mqtts:": 8883, "ws:": 9001, "wss:": 9443 } as const;
type Scheme = keyof typeof defaultPorts;

/** The schemes that an address to listen on may have. */
export const schemes: readonly string[] = Object.keys(defaultPorts);

/** The listener for a URL of the configuration, which has checked its scheme. */
export function createListener(
  text: string,
  { tls, webSocket, door, clock }: ListenerSurroundings,
): Listener {
  const url = new URL(text);
  const bytes: Passage = isTls(text) ? new TlsPassage(tls) : straight;
  const passage = url.protocol.startsWith("ws") ? new WebSocketPassage(webSocket, bytes) : bytes;
  return new TcpListener({ url, defaultPort: defaultPorts[url.protocol as Scheme], door, clock, passage });
}

export function isTls(url: string): boolean {
  return /^(mqtts|wss):/.test(url);
}
