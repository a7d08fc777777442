/**
 * The local control socket: HTTP over a Unix socket that only the broker's own user may open. It answers
 * `equipoise-broker pools` and `equipoise-broker dead`.
 */
import { once } from "node:events";
import { chmodSync, rmSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { reasonOf } from "@equipoise/shared";
import * as z from "zod";
import { type PoolOperations, poolTuning } from "./pool-operations.ts";

/** A Unix socket's address has this many bytes, and one for its end. */
const maxPathBytes = 107;
const requestTimeoutMs = 30_000;
const defaultListed = 100;
const maxBodyBytes = 1_048_576;

type Answer = { status: number; body: unknown };

const noPool = (name: string): Answer => notFound(`there is no pool ${name}`);
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
    let answer: Answer;
    try {
      const body = await bodyOf(request);
      answer = await this.#answer(
        request.method ?? "GET",
        new URL(request.url ?? "/", "http://control"),
        body,
      );
    } catch (error) {
      answer = { status: 500, body: { error: reasonOf(error) } };
    }
    const text = JSON.stringify(answer.body);
    response.writeHead(answer.status, { "content-type": "application/json", connection: "close" }).end(text);
  }

  async #answer(method: string, url: URL, body: Buffer): Promise<Answer> {
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
      case "GET pools POOL decisions": {
        const decisions = this.#operations.decisions(name);
        return decisions === undefined ? noPool(name) : { status: 200, body: decisions };
      }
      case "POST pools POOL tune":
        return this.#tune(name, body);
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

  #tune(name: string, body: Buffer): Answer {
    const tuning = poolTuning.safeParse(JSON.parse(body.toString("utf8")));
    if (!tuning.success) return { status: 400, body: { error: z.prettifyError(tuning.error) } };
    return this.#operations.tune(name, tuning.data) ? { status: 200, body: {} } : noPool(name);
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
