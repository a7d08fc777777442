/** Brokers on one Redis that syncs every write, as `appendfsync always` promises. */
import { startRedis } from "../../support/redis.ts";
import { Cleanup } from "./cleanup.ts";
import { type EquipoiseSubject, startEquipoise } from "./equipoise.ts";
import type { Subject } from "./subject.ts";

/** @param brokers how many; publishers are at the first */
export async function startCluster(
  name: "cluster" | "cluster_ordered",
  profileDir?: string,
  brokers = 2,
): Promise<Subject> {
  const cleanup = new Cleanup();
  const redis = await startRedis(cleanup, { args: ["--appendfsync", "always"] });
  const start = (id: string) =>
    startEquipoise("cluster", {
      profileDir,
      args: ["--redis", redis.url, "--broker-id", id],
      ...(name === "cluster" ? {} : { ordering: "key" }),
    });
  const started: EquipoiseSubject[] = [];
  for (let at = 0; at < brokers; at++) started.push(await start(`bench-${at}`));
  const [first, ...rest] = started;
  if (first === undefined) throw new Error("a cluster needs a broker");
  const stop = async (): Promise<void> => {
    for (const broker of started) await broker.stop();
    await cleanup.run();
  };
  const others = [...rest, { pid: redis.program.child.pid as number }];
  return { name, port: first.port, pid: first.pid, others, stop };
}
