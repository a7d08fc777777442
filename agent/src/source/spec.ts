/** Source specifications as users write them: `file:PATH[?venue=V][&loop=true]`, `binance:BTCUSDT`, `tcp:HOST:PORT`, … */
import { isIPv4 } from "node:net";
import { isAbsolute } from "node:path";
import { limits } from "@equipoise/shared";
import { distinct, type Venue } from "./venue/venue.ts";
import { venues } from "./venue/venues.ts";

export type SourceSpec =
  | { kind: "file"; text: string; path: string; venue: string; loop: boolean }
  | { kind: "stdin"; text: string }
  /** Symbols as they were written, upper case, each once. */
  | { kind: "venue"; text: string; venue: Venue; symbols: string[]; url: string }
  | { kind: "tcp" | "udp" | "http"; text: string; host: string; port: number };

export type ListenSpec = SourceSpec & { kind: "tcp" | "udp" | "http" };

type Parsed = SourceSpec | { fault: string };

/** All forms, for help and errors. */
export const sourceForms = [
  "file:PATH[?venue=V][&loop=true]",
  "stdin:",
  `VENUE:SYMBOL[,SYMBOL…][?url=URL] with the venues ${[...venues.keys()].join(" ")}`,
  "tcp|udp|http:HOST:PORT",
].join(", ");

/** Of one source, which is one connection. */
export const maxSymbols = 200;

/** The specification taken apart, or in words what is wrong with it. */
export function parseSourceSpec(text: string): Parsed {
  const colon = text.indexOf(":");
  const kind = colon === -1 ? "" : text.slice(0, colon);
  const rest = text.slice(colon + 1);
  const venue = venues.get(kind);
  if (venue !== undefined) return parseVenue(text, venue, rest);
  if (kind === "tcp" || kind === "udp" || kind === "http") return parseListen(text, kind, rest);
  if (kind === "file") return parseFile(text, rest);
  if (kind === "stdin") return rest === "" ? { kind, text } : { fault: "nothing may follow stdin:" };
  const hint = isAbsolute(text) || text.startsWith(".") ? ` (did you mean file:${text} ?)` : "";
  return { fault: `must be ${sourceForms}${hint}` };
}

function parseFile(text: string, rest: string): Parsed {
  const mark = rest.lastIndexOf("?");
  const path = mark === -1 ? rest : rest.slice(0, mark);
  const options = new URLSearchParams(mark === -1 ? "" : rest.slice(mark + 1));
  if (path === "") return { fault: "names no path: file:PATH" };
  for (const name of options.keys()) {
    if (name !== "venue" && name !== "loop") {
      return { fault: `has the unknown option ${JSON.stringify(name)}; known are venue and loop` };
    }
  }
  const venue = options.get("venue") ?? "binance";
  const loop = options.get("loop") ?? "false";
  if (!/^[a-z0-9][a-z0-9_-]*$/.test(venue))
    return { fault: `has the venue ${JSON.stringify(venue)}; use lower case` };
  if (loop !== "true" && loop !== "false") return { fault: `has loop=${loop}; use true or false` };
  return { kind: "file", text, path, venue, loop: loop === "true" };
}

function parseVenue(text: string, venue: Venue, rest: string): Parsed {
  // Everything behind `url=` belongs to the URL, which may have a query of its own.
  const [, list = "", query] = /^([^?]*)(?:\?(.*))?$/s.exec(rest) ?? [];
  if (query !== undefined && !query.startsWith("url=")) {
    return { fault: `has ${JSON.stringify(query)} behind the symbols; only url=ws://… may stand there` };
  }
  const written = list.toUpperCase().split(",");
  const odd = written.find(
    (symbol) => !/^[A-Z0-9][\w./:-]*$/.test(symbol) || symbol.length > limits.maxIdLength,
  );
  if (odd !== undefined) {
    return {
      fault: `names ${odd === "" ? "no symbol" : JSON.stringify(odd)}: ${venue.name}:SYMBOL[,SYMBOL…]`,
    };
  }
  const symbols = distinct(venue, written);
  if (symbols.length > maxSymbols)
    return { fault: `names more than ${maxSymbols} symbols; use a second source` };
  const url = query?.slice(4) ?? venue.url;
  return isWebSocketUrl(url)
    ? { kind: "venue", text, venue, symbols, url }
    : { fault: `has the url ${JSON.stringify(url)}; it must begin with ws:// or wss://` };
}

function isWebSocketUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^wss?:$/.test(url.protocol) && url.hash === "";
}

function parseListen(text: string, kind: "tcp" | "udp" | "http", rest: string): Parsed {
  const [, bracketed, plain, digits = ""] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(rest) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || port > 65_535) return { fault: `must be ${kind}:HOST:PORT` };
  if (!isLoopback(host)) {
    return { fault: `has the host ${host}; feed handlers are local: use 127.0.0.1, [::1] or localhost` };
  }
  return { kind, text, host, port };
}

const isLoopback = (host: string): boolean =>
  host === "localhost" || host === "::1" || (isIPv4(host) && host.startsWith("127."));
