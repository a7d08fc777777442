/** `HOST:PORT` of the HTTP server, `[::1]:9090` for IPv6. */ import * as z from "zod";

export interface HttpAddress {
  host: string;
  port: number;
}

/** `undefined` when the text is no HOST:PORT. */
export function parseHttpAddress(text: string): HttpAddress | undefined {
  const match = /^(\[[0-9a-fA-F:.]+\]|[^:/@?#[\]]+):(\d{1,5})$/.exec(text);
  const port = Number(match?.[2]);
  if (match?.[1] === undefined || port > 65_535) return undefined;
  return { host: match[1].replace(/^\[|\]$/g, ""), port };
}

/** The endpoints ask nobody for a password, so only this machine may reach them. */
export function isLocalHttpAddress(text: string): boolean {
  return parseHttpAddress(text) !== undefined && isLoopback(`http://${text}`);
}

const loopback = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/** True when only this machine can reach the URL's host. */
export function isLoopback(url: string): boolean {
  return loopback.test(new URL(url).hostname);
}

/** A setting of HOST:PORT on this machine. */
export const httpAddress = z
  .string()
  .refine(isLocalHttpAddress, "must be HOST:PORT on this machine, such as 127.0.0.1:9090 or [::1]:9090");
