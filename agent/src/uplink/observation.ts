/** A short look at another broker: connect, read its retained heartbeat, leave. */
import { type BrokerLoad, type Clock, Heard, topics } from "@equipoise/shared";
import { type BrokerClient, discard, type Identity, openClient } from "./broker-client.ts";

/** For all of it; a broker that needs longer is not one to move to. */
const timeoutMs = 3_000;
/** Retained heartbeats come together; this long after the first there are no more. */
const settleMs = 50;
const goodbyeMs = 1_000;

/**
 * @returns the broker's load, or undefined when it is away, refuses, or says nothing clear
 */
export async function observe(
  url: string,
  identity: Identity,
  clock: Clock,
  signal: AbortSignal,
): Promise<BrokerLoad | undefined> {
  const heard = new Heard(clock);
  const { promise: done, resolve } = Promise.withResolvers<void>();
  const client = openClient(url, identity, undefined, {
    up: () => client.mqtt.subscribe(topics.everyBrokerHeartbeat(), { qos: 0 }, (error) => error && resolve()),
    down: () => resolve(),
  });
  client.mqtt.on("message", (_, payload, { retain }) => {
    heard.note(payload, retain);
    clock.after(settleMs, resolve);
  });
  const cancel = clock.after(timeoutMs, resolve);
  signal.addEventListener("abort", () => resolve(), { once: true });
  await done;
  cancel();
  leave(client, clock);
  return heard.load;
}

function leave(client: BrokerClient, clock: Clock): void {
  const { mqtt, lane } = client;
  if (!mqtt.connected) return discard(client);
  const cancel = clock.after(goodbyeMs, () => lane.destroy());
  mqtt.end(false, () => cancel());
}
