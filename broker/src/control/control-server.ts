/** What the control socket answers to `equipoise-broker pools`, `dead` and `balancing`. */
import { type ControlAnswer, ControlSocket } from "@equipoise/shared";
import * as z from "zod";
import { type PoolOperations, poolTuning } from "./pool-operations.ts";

const defaultListed = 100;

const noPool = (name: string): ControlAnswer => notFound(`there is no pool ${name}`);
const notFound = (error: string): ControlAnswer => ({ status: 404, body: { error } });

export class ControlServer {
  readonly #operations: PoolOperations;
  readonly #socket: ControlSocket;

  constructor(path: string, operations: PoolOperations) {
    this.#operations = operations;
    this.#socket = new ControlSocket(path, (method, url, body) => this.#answer(method, url, body));
  }

  /** @throws Error why there is no control socket; the broker works without one */
  async start(): Promise<void> {
    await this.#socket.start();
  }

  async stop(): Promise<void> {
    await this.#socket.stop();
  }

  async #answer(method: string, url: URL, body: Buffer): Promise<ControlAnswer> {
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
        return { status: 200, body: { purged: await this.#operations.purge(name) } };
      default:
        return notFound(`there is no ${method} ${url.pathname}`);
    }
  }

  #tune(name: string, body: Buffer): ControlAnswer {
    const tuning = poolTuning.safeParse(JSON.parse(body.toString("utf8")));
    if (!tuning.success) return { status: 400, body: { error: z.prettifyError(tuning.error) } };
    return this.#operations.tune(name, tuning.data) ? { status: 200, body: {} } : noPool(name);
  }
}
