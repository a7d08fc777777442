/**
 * The local control socket: HTTP over a Unix socket that only the broker's own user may open. It answers
 * `equipoise-broker pools` and `equipoise-broker dead`.
 */
import { once } from "node:events";
import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { reasonOf } from "@equipoise/shared";
import type { PoolOperations } from "./pool-operations.ts";

/** A Unix socket's address has this many bytes, and one for its end. */
const maxPathBytes = 107;
const requestTimeoutMs = 30_000;
const defaultListed = 100;

type Answer = { status: number; body: unknown };

const notFound = (error: string): Answer => ({ status: 404, body: { error } });

export class ControlServer {
  readonly #path: string;
  readonly #operations: PoolOperations;
  #server: Server | undefined;

  constructor(path: string, operations: PoolOperations) {
    this.#path = path;
    this.#operations = operations;
  }

  /** @throws Error why there is no control socket; the broker works without one */
  async start(): Promise<void> {
    if (Buffer.byteLength(this.#path) > maxPathBytes)
      throw new Error(`a socket's path has at most ${maxPathBytes} bytes`);
    // Left behind by a broker that was killed; that none lives here is known from the data directory's lock.
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
    request.resume();
    let answer: Answer;
    try {
      answer = await this.#answer(request.method ?? "GET", new URL(request.url ?? "/", "http://control"));
    } catch (error) {
      answer = { status: 500, body: { error: reasonOf(error) } };
    }
    const text = JSON.stringify(answer.body);
    response.writeHead(answer.status, { "content-type": "application/json", connection: "close" }).end(text);
  }

  async #answer(method: string, url: URL): Promise<Answer> {
    const [resource, pool, action] = url.pathname.split("/").slice(1).map(decodeURIComponent);
    const what = [method, resource, pool === undefined ? "" : "POOL", action ?? ""].join(" ").trimEnd();
    const name = pool ?? "";
    switch (what) {
      case "GET pools":
        return { status: 200, body: this.#operations.pools() };
      case "DELETE pools POOL": {
        const refusal = this.#operations.deletePool(name);
        return refusal === undefined ? { status: 200, body: {} } : { status: 409, body: { error: refusal } };
      }
      case "GET dead POOL": {
        const limit = Number(url.searchParams.get("limit") ?? defaultListed);
        return { status: 200, body: await this.#operations.deadLetters(name, limit) };
      }
      case "POST dead POOL replay":
        return { status: 200, body: { replayed: await this.#operations.replay(name) } };
      case "POST dead POOL purge":
        return { status: 200, body: { purged: this.#operations.purge(name) } };
      default:
        return notFound(`there is no ${method} ${url.pathname}`);
    }
  }
}
