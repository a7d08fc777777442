/** What the brokers say of themselves, the newest of each. Any broker of a cluster passes on what the others say. */
import type { BrokerHeartbeat } from "@equipoise/shared";
import mqtt from "mqtt";

const reconnectPeriodMs = 200;

export class Heartbeats {
  /** By the broker's id. */
  readonly newest = new Map<string, BrokerHeartbeat>();
  #client: mqtt.MqttClient | undefined;

  /** @param urls of brokers; it is connected to one of them at a time */
  start(urls: readonly string[]): void {
    const servers = urls.map((url) => {
      const { hostname: host, port } = new URL(url);
      return { host, port: Number(port), protocol: "mqtt" as const };
    });
    const client = mqtt.connect({ servers, clientId: "screen", reconnectPeriod: reconnectPeriodMs });
    this.#client = client;
    // It is about to connect again.
    client.on("error", () => {});
    client.on("connect", () => client.subscribe("heartbeat/brokers/+"));
    client.on("message", (_topic, payload) => {
      const heartbeat: BrokerHeartbeat = JSON.parse(payload.toString());
      this.newest.set(heartbeat.broker, heartbeat);
    });
  }

  async stop(): Promise<void> {
    await this.#client?.endAsync(true);
  }
}
