/** A cluster whose brokers and engines each run on a host of their own, so that the ways between them can be broken. */
import { declared, temporaryDirectory } from "../support/broker.ts";
import { skipUnless } from "../support/debian.ts";
import { Network, skipWithoutNetworks } from "../support/network.ts";
import { startProgramBehind } from "../support/program.ts";
import { startRedis } from "../support/redis.ts";
import type { Teardown } from "../support/teardown.ts";

export const skip = skipUnless("redis-server", "redis-server") || skipWithoutNetworks;
export const port = 1_883;

/** Redis on a host of its own, or a replica of one that is there. */
export async function startEngine(t: Teardown, network: Network, host: string, args: readonly string[] = []) {
  network.host(host);
  const options = { host: network.address(host), prefix: network.on(host), port: 6_379 };
  return await startRedis(t, { ...options, args: ["--protected-mode", "no", ...args] });
}

export async function startBroker(t: Teardown, network: Network, id: string, args: readonly string[]) {
  network.host(id);
  const program = startProgramBehind(t, network.on(id), "broker", [
    ...["--listen", `mqtt://${network.address(id)}:${port}`, "--allow-anonymous", "--broker-id", id],
    ...[
      "--durability",
      "cluster",
      ...declared({ maxDeliveries: 1_000 }),
      "--data-dir",
      await temporaryDirectory(t),
      ...args,
    ],
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
