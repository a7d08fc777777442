/** A local control socket: HTTP over a Unix socket that only the service's own user may open. */
import { once } from "node:events";
import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createConnection } from "node:net";
import { dirname } from "node:path";
import { ensureDirectory } from "../directory.ts";
import { reasonOf } from "../errors.ts";

/** A Unix socket's address has this many bytes, and one for its end. */
const maxPathBytes = 107;
const requestTimeoutMs = 30_000;
const maxBodyBytes = 1_048_576;

export interface ControlAnswer {
  status: number;
  body: unknown;
}

/** Answers one question of an operator. What it throws is answered with status 500. */
export type ControlHandler = (method: string, url: URL, body: Buffer) => Promise<ControlAnswer>;

export class ControlSocket {
  readonly #path: string;
  readonly #handler: ControlHandler;
  #server: Server | undefined;

  constructor(path: string, handler: ControlHandler) {
    this.#path = path;
    this.#handler = handler;
  }

  /** @throws Error why there is no control socket; the service works without one */
  async start(): Promise<void> {
    if (Buffer.byteLength(this.#path) > maxPathBytes)
      throw new Error(`a socket's path has at most ${maxPathBytes} bytes`);
    ensureDirectory(dirname(this.#path));
    // Not every service has locked the directory: a broker of a cluster keeps nothing there.
    if (await isAnswered(this.#path))
      throw new Error("another running service has it; choose one with --control");
    // Left behind by a service that was killed.
    rmSync(this.#path, { force: true });
    const server = createServer((request, response) => void this.#handle(request, response));
    server.requestTimeout = requestTimeoutMs;
    server.maxConnections = 16;
    server.listen(this.#path);
    await once(server, "listening");
    chmodSync(this.#path, 0o600);
    this.#server = server;
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined) return;
    this.#server = undefined;
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: ControlAnswer;
    try {
      const body = await bodyOf(request);
      const url = new URL(request.url ?? "/", "http://control");
      answer = await this.#handler(request.method ?? "GET", url, body);
    } catch (error) {
      answer = { status: 500, body: { error: reasonOf(error) } };
    }
    const text = JSON.stringify(answer.body);
    response.writeHead(answer.status, { "content-type": "application/json", connection: "close" }).end(text);
  }
}

async function isAnswered(path: string): Promise<boolean> {
  const socket = createConnection(path);
  try {
    await once(socket, "connect");
    return true;
  } catch {
    // There is none, or nobody behind it.
    return false;
  } finally {
    socket.destroy();
  }
}

/** @throws Error when it is too long */
async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    bytes += part.length;
    if (bytes > maxBodyBytes) throw new Error(`a request has at most ${maxBodyBytes} bytes`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
