import { spawnSync } from "node:child_process";
import { join as joinPath } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "tap";
import { engineAddress } from "../../../broker/src/cluster/address.ts";
import { declared, temporaryDirectory } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { freePort } from "../../support/ports.ts";
import { startProgram } from "../../support/program.ts";
import { startRedis } from "../../support/redis.ts";
import { join, skip, startMember, startTwo, topic } from "./brokers.ts";

test("without its engine a broker acknowledges nothing, says so, and goes on by itself", {
  skip,
}, async (t) => {
  const { redis, a } = await startTwo(t);
  const watcher = await MqttClient.connect(t, a.port, "watcher");
  await watcher.subscribe("heartbeat/brokers/a");
  const state = async (wanted: string): Promise<void> => {
    for (;;) if (JSON.parse(await watcher.receive()).state === wanted) return;
  };
  await state("up");
  const member = await join(t, a.port, "member");
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  await publisher.publish(topic, "before");
  t.equal(await member.receive(), "before");
  redis.program.child.kill("SIGSTOP");
  publisher.sendPublish(topic, "meanwhile");
  await state("degraded");
  await t.rejects(publisher.next("puback", 500));
  redis.program.child.kill("SIGCONT");
  await publisher.next("puback");
  await state("up");
  t.equal(await member.receive(), "meanwhile");
  t.same(await member.settle(), [], "it was stored once");
  t.notOk(
    a.program.lines.some(({ event }) => event === "broker.dead"),
    "nobody was taken for dead",
  );
});

test("two brokers with one id, an unfit engine and none at all are refused in one line", {
  skip,
}, async (t) => {
  const redis = await startRedis(t);
  await startMember(t, redis.url, "a");
  const refused = async (url: string, code: string): Promise<void> => {
    const dataDir = await temporaryDirectory(t);
    const listen = ["--listen", "mqtt://127.0.0.1:0", "--data-dir", dataDir];
    const args = ["--durability", "cluster", "--redis", url, "--broker-id", "a"];
    const program = startProgram(t, "broker", [...listen, ...args]);
    t.equal((await program.exited).code, 1);
    t.match(program.stderr, new RegExp(`^equipoise-broker: ${code}: .*\n$`));
  };
  const evicting = await startRedis(t, { args: ["--maxmemory-policy", "allkeys-lru"] });
  await Promise.all([
    refused(redis.url, "EQ_BROKER_ID_TAKEN"),
    refused(evicting.url, "EQ_ENGINE_UNFIT"),
    refused("redis://127.0.0.1:1", "EQ_ENGINE_AWAY"),
  ]);
});

test("the engine may be behind TLS, with an authority of one's own", { skip }, async (t) => {
  const directory = await temporaryDirectory(t);
  const launcher = fileURLToPath(new URL("../../../broker/bin/equipoise-broker.mjs", import.meta.url));
  const { NODE_OPTIONS: _, ...env } = process.env;
  for (const what of [["ca"], ["server", "--host", "127.0.0.1"]])
    spawnSync(process.execPath, [launcher, "certs", ...what, "--dir", directory], { env });
  const port = await freePort();
  const file = (name: string): string => joinPath(directory, name);
  const tls = ["--tls-port", String(port), "--tls-cert-file", file("server.crt")];
  const keys = ["--tls-key-file", file("server.key"), "--tls-ca-cert-file", file("ca.crt")];
  await startRedis(t, { args: [...tls, ...keys, "--tls-auth-clients", "no"] });
  const args = ["--cluster-ca-file", file("ca.crt"), ...declared()];
  const a = await startMember(t, `rediss://127.0.0.1:${port}`, "a", { args });
  const member = await join(t, a.port, "member");
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  await publisher.publish(topic, "hello");
  t.equal(await member.receive(), "hello");
});

test("the engine's address: one Redis, TLS, credentials, Sentinels", async (t) => {
  t.match(engineAddress("redis://10.0.0.5"), { host: "10.0.0.5", port: 6_379, db: 0 });
  t.match(engineAddress("rediss://me:p%40ss@h:7000/3"), {
    username: "me",
    password: "p@ss",
    port: 7_000,
    db: 3,
    tls: {},
  });
  t.match(engineAddress("redis+sentinel://:pw@a:1,[::1]:2,c/primary"), {
    ...{ name: "primary", password: "pw" },
    sentinels: [
      { host: "a", port: 1 },
      { host: "::1", port: 2 },
      { host: "c", port: 26_379 },
    ],
  });
  t.match(engineAddress("rediss+sentinel://me:pw@a/primary"), {
    ...{ username: "me", tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true },
  });
  for (const text of [
    "",
    "redis:",
    "http://a",
    "redis+sentinel://a:1",
    "redis+sentinel://a:x/n",
    "redis://h/x",
  ])
    t.equal(engineAddress(text), undefined, text);
});
