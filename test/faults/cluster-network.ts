/** A cluster whose brokers and engines each run on a host of their own, so that the ways between them can be broken. */
import { temporaryDirectory } from "../support/broker.ts";
import { skipUnless } from "../support/debian.ts";
import { Network, skipWithoutNetworks } from "../support/network.ts";
import { startProgramBehind } from "../support/program.ts";
import { startRedis } from "../support/redis.ts";

type Teardown = { teardown(callback: () => unknown): unknown };

export const skip = skipUnless("redis-server", "redis-server") || skipWithoutNetworks;
export const port = 1_883;

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(what: () => boolean, waitMs = 20_000): Promise<number> {
  const beganMs = performance.now();
  while (!what()) {
    if (performance.now() - beganMs > waitMs) throw new Error(`not so within ${waitMs} ms: ${what}`);
    await pause(10);
  }
  return Math.round(performance.now() - beganMs);
}

/** Redis on a host of its own, or a replica of one that is there. */
export async function startEngine(t: Teardown, network: Network, host: string, args: readonly string[] = []) {
  network.host(host);
  const options = { host: network.address(host), prefix: network.on(host), port: 6_379 };
  return await startRedis(t, { ...options, args: ["--protected-mode", "no", ...args] });
}

export async function startBroker(t: Teardown, network: Network, id: string, args: readonly string[]) {
  network.host(id);
  const pools = JSON.stringify([{ name: "p", filters: ["ticks/#"], maxDeliveries: 1_000 }]);
  const program = startProgramBehind(t, network.on(id), "broker", [
    ...["--listen", `mqtt://${network.address(id)}:${port}`, "--allow-anonymous", "--broker-id", id],
    ...["--durability", "cluster", "--pools", pools, "--data-dir", await temporaryDirectory(t), ...args],
  ]);
  await program.event("ready");
  return { program, host: network.address(id), port, url: `mqtt://${network.address(id)}:${port}` };
}

/** Redis, and two brokers on it. */
export async function startCluster(t: Teardown) {
  const network = new Network(t);
  const redis = await startEngine(t, network, "redis");
  const start = (id: string) => startBroker(t, network, id, ["--redis", redis.url]);
  const [a, b] = await Promise.all([start("a"), start("b")]);
  return { network, a, b };
}
