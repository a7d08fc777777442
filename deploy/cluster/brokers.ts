/** The three brokers, each on a port that it keeps when it is started anew. */
import { join } from "node:path";
import { Child } from "../support/child.ts";
import { pool } from "../support/clients.ts";
import { freePorts, host } from "./ports.ts";

/** How many replicas must have a tick before its PUBACK: with one of two, either may end and all goes on. */
const minReplicas = 1;
const ids = ["gateway-1", "gateway-2", "gateway-3"];
/** Dead, a broker stays so long. */
const deadMs = 2_000;

interface Broker {
  id: string;
  url: string;
  child: Child;
}

export interface BrokersOptions {
  /** Of the engine. */
  redis: () => string;
  directory: string;
  /** One has ended that nobody has stopped. */
  onFailed: (error: Error) => void;
}

export class Brokers {
  readonly #options: BrokersOptions;
  #brokers: Broker[] = [];
  #stopping = false;
  #next = 0;

  constructor(options: BrokersOptions) {
    this.#options = options;
  }

  get ids(): readonly string[] {
    return ids;
  }

  get urls(): string[] {
    return this.#brokers.map(({ url }) => url);
  }

  idOf(url: string): string {
    return this.#brokers.find((broker) => broker.url === url)?.id ?? url;
  }

  async start(): Promise<void> {
    const ports = await freePorts(ids.length);
    this.#brokers = await Promise.all(ids.map((id, at) => this.#start(id, `mqtt://${host}:${ports[at]}`)));
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#brokers.map(({ child }) => child.stop()));
  }

  /** Kills one, another one each time, and starts it again a little later. @param onKilled is told which */
  async killOne(onKilled: (id: string) => void): Promise<string> {
    const at = this.#next++ % ids.length;
    const { id, url, child } = this.#brokers[at] as Broker;
    await child.kill();
    onKilled(id);
    await new Promise((resolve) => setTimeout(resolve, deadMs));
    if (!this.#stopping) this.#brokers[at] = await this.#start(id, url);
    return id;
  }

  async #start(id: string, listen: string): Promise<Broker> {
    const { redis, directory, onFailed } = this.#options;
    const pools = JSON.stringify([pool]);
    const args = [
      ...["--listen", listen, "--broker-id", id, "--data-dir", join(directory, id), "--pools", pools],
      ...["--durability", "cluster", "--redis", redis(), "--cluster-min-replicas", String(minReplicas)],
      ...["--heartbeat-period-ms", "500"],
    ];
    const child = new Child(`broker ${id}`, "broker/bin/equipoise-broker.mjs", args, { onFailed });
    const ready = await child.event("ready");
    return { id, url: (ready.listen as string[])[0] as string, child };
  }
}
