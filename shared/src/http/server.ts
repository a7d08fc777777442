/**
 * The operator's HTTP endpoints: `/metrics`, `/healthz`, `/readyz`. They read and change nothing; the work of one
 * answer is bounded by the metrics' own bounds.
 */
import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { EquipoiseError, reasonOf, systemCode } from "../errors.ts";
import { type HttpAddress, parseHttpAddress } from "./address.ts";
import { contentType } from "./exposition.ts";

export interface HttpSources {
  /** The text of `/metrics`. */
  metrics: () => string;
  /** Why the service is not ready, or `undefined`. */
  unreadyReason: () => string | undefined;
}

const maxConnections = 64;
const limits = {
  maxHeaderSize: 8_192,
  headersTimeout: 2_000,
  requestTimeout: 2_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 500,
};

interface Answer {
  status: number;
  type: string;
  body: string;
}

export class HttpServer {
  readonly #address: HttpAddress;
  readonly #sources: HttpSources;
  readonly #server: Server;

  /** @param address HOST:PORT, checked by the configuration */
  constructor(address: string, sources: HttpSources) {
    const parsed = parseHttpAddress(address);
    if (parsed === undefined) throw new Error(`not HOST:PORT: ${address}`);
    this.#address = parsed;
    this.#sources = sources;
    this.#server = createServer(limits, (request, response) => this.#answer(request, response));
    this.#server.maxConnections = maxConnections;
  }

  /** Listens; returns the URL with the bound port. @throws EquipoiseError EQ_PORT_IN_USE, EQ_LISTEN_FAILED */
  async start(): Promise<string> {
    const { host, port } = this.#address;
    const shown = host.includes(":") ? `[${host}]` : host;
    this.#server.listen({ host, port });
    try {
      await once(this.#server, "listening");
    } catch (error) {
      const code = systemCode(error) === "EADDRINUSE" ? "EQ_PORT_IN_USE" : "EQ_LISTEN_FAILED";
      throw new EquipoiseError(code, `--http ${shown}:${port}: ${reasonOf(error)}`, { cause: error });
    }
    const bound = this.#server.address();
    if (bound === null || typeof bound === "string") throw new Error("an HTTP server without an address");
    return `http://${shown}:${bound.port}`;
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    this.#server.closeAllConnections();
    await closed;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const { status, type, body } = this.#answerTo(request);
    response.writeHead(status, {
      "Content-Type": type,
      "Content-Length": Buffer.byteLength(body),
      "Cache-Control": "no-store",
      "X-Content-Type-Options": "nosniff",
      // Closed, because a body may follow that nobody reads.
      ...(status === 405 ? { Allow: "GET, HEAD", Connection: "close" } : {}),
    });
    response.end(request.method === "HEAD" ? "" : body);
  }

  #answerTo({ method, url = "" }: IncomingMessage): Answer {
    if (method !== "GET" && method !== "HEAD") return json(405, { error: "only GET and HEAD" });
    switch (url.split("?", 1)[0]) {
      case "/metrics":
        return { status: 200, type: contentType, body: this.#sources.metrics() };
      case "/healthz":
        return json(200, { status: "ok" });
      case "/readyz":
        return this.#readiness();
      default:
        return json(404, { error: "there are /metrics, /healthz and /readyz" });
    }
  }

  #readiness(): Answer {
    const reason = this.#sources.unreadyReason();
    return reason === undefined ? json(200, { status: "ready" }) : json(503, { status: "unready", reason });
  }
}

function json(status: number, body: object): Answer {
  return { status, type: "application/json", body: `${JSON.stringify(body)}\n` };
}
