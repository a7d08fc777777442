import { mkdirSync, writeFileSync } from "node:fs";
import { join as joinPath } from "node:path";
import { test } from "tap";
import { startBroker, temporaryDirectory } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { type Program, startCommand } from "../../support/program.ts";
import { freePort, startRedis, type TestRedis } from "../../support/redis.ts";
import { declared, join, publishAll, receiveAll, skip, topic, until } from "./brokers.ts";

type Teardown = { teardown(callback: () => unknown): unknown };

async function startSentinel(t: Teardown, directory: string, primaryPort: number): Promise<number> {
  const port = await freePort();
  mkdirSync(joinPath(directory, String(port)));
  const file = joinPath(directory, String(port), "sentinel.conf");
  const lines = [
    `port ${port}`,
    "bind 127.0.0.1",
    `sentinel monitor primary 127.0.0.1 ${primaryPort} 2`,
    "sentinel down-after-milliseconds primary 1000",
    "sentinel failover-timeout primary 4000",
  ];
  writeFileSync(file, `${lines.join("\n")}\n`);
  const program = startCommand(t, "redis-server", [file, "--sentinel"]);
  await program.line(({ text }) => String(text).includes("+monitor master"));
  return port;
}

const replicates = ({ lines }: Program): boolean =>
  lines.some(({ text }) => String(text).includes("MASTER <-> REPLICA sync: Finished with success"));

test("a Sentinel failover loses nothing that was acknowledged with minReplicas", { skip }, async (t) => {
  const primary = await startRedis(t);
  const replicaOf = ["--replicaof", "127.0.0.1", String(primary.port)];
  const replica: TestRedis = await startRedis(t, { args: [...replicaOf, "--repl-diskless-sync-delay", "0"] });
  await until(() => replicates(replica.program), 20_000);
  const directory = await temporaryDirectory(t);
  const ports = await Promise.all([0, 1, 2].map(() => startSentinel(t, directory, primary.port)));
  const url = `redis+sentinel://${ports.map((port) => `127.0.0.1:${port}`).join(",")}/primary`;
  const args = ["--durability", "cluster", "--redis", url, "--cluster-min-replicas", "1", ...declared()];
  const { port, program } = await startBroker(t, { args });
  const publisher = await MqttClient.connect(t, port, "publisher");
  await publishAll(publisher, 100);
  await primary.program.stop("SIGKILL");
  const beganMs = performance.now();
  await program.event("engine.away");
  publisher.sendPublish(topic, "meanwhile");
  await until(() => program.lines.filter(({ event }) => event === "engine.here").length > 1, 30_000);
  const awayMs = Math.round(performance.now() - beganMs);
  await t.rejects(publisher.next("puback", 500), "no PUBACK while no replica has it");
  await startRedis(t, { port: primary.port, directory: primary.directory });
  await publisher.next("puback", 30_000);
  const member = await join(t, port, "member");
  t.equal((await receiveAll([member], 101)).size, 101, `the engine was away for ${awayMs} ms`);
});
