/** Two brokers on one Redis that syncs every write, as `appendfsync always` promises. */
import { startRedis } from "../../support/redis.ts";
import { Cleanup } from "./cleanup.ts";
import { startEquipoise } from "./equipoise.ts";
import type { Subject } from "./subject.ts";

export async function startCluster(profileDir?: string): Promise<Subject> {
  const cleanup = new Cleanup();
  const redis = await startRedis(cleanup);
  const start = (id: string) =>
    startEquipoise("cluster", { profileDir, args: ["--redis", redis.url, "--broker-id", id] });
  const [first, second] = [await start("bench-a"), await start("bench-b")];
  const stop = async (): Promise<void> => {
    await first.stop();
    await second.stop();
    await cleanup.run();
  };
  const others = [second, { pid: redis.program.child.pid as number }];
  return { name: "cluster", port: first.port, pid: first.pid, others, stop };
}
