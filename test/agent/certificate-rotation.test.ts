import { copyFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "tap";
import { type Certificates, makeCertificates } from "../broker/auth-fixtures.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { freePort } from "../support/ports.ts";
import { startProgram } from "../support/program.ts";
import type { Teardown } from "../support/teardown.ts";
import { startAgent, until } from "./support.ts";
import { flags } from "./uplink-support.ts";

/** A broker and an agent whose certificates are of `first`, in files that can be replaced. */
async function startRotated(t: Teardown, first: Certificates, names: readonly string[]) {
  const files = await temporaryDirectory(t);
  const put = async ({ dir }: Certificates, replaced = names): Promise<void> => {
    for (const name of replaced) await copyFile(join(dir, name), join(files, name));
  };
  await put(first);
  const [caFile, server] = [
    join(files, "ca.crt"),
    ["server.crt", "server.key"].map((name) => join(files, name)),
  ];
  const args = ["--tls-cert-file", server[0] ?? "", "--tls-key-file", server[1] ?? ""];
  const strict = [...args, "--tls-ca-file", caFile, "--tls-require-client-cert", "--durability", "memory"];
  const start = (listen: string) => startProgram(t, "broker", ["--listen", listen, ...strict]);
  const broker = start(`mqtts://127.0.0.1:${await freePort()}`);
  const [url = ""] = (await broker.event("ready")).listen as string[];
  const own = { caFile, certFile: join(files, "pi-7.crt"), keyFile: join(files, "pi-7.key") };
  const quick = ["--uplink-max-backoff-ms", "100"];
  const dataDir = await temporaryDirectory(t);
  const agent = startAgent(t, dataDir, url, "--source", "stdin:", ...quick, ...flags("uplink-", own));
  const connections = (): number => agent.lines.filter(({ event }) => event === "connected").length;
  await until(() => connections() === 1);
  return { broker, agent, put, connections, restart: () => start(url) };
}

const rotated = ["ca.crt", "server.crt", "server.key", "pi-7.crt", "pi-7.key"];

test("certificates and authority are replaced under a running broker and agent, on SIGHUP", async (t) => {
  const [first, second] = [await makeCertificates(t), await makeCertificates(t)];
  for (const one of [first, second]) await one.device("pi-7");
  const { broker, agent, put, connections } = await startRotated(t, first, rotated);
  agent.child.kill("SIGHUP");
  t.match(await agent.event("reloaded"), { changed: false });
  await put(second);
  broker.child.kill("SIGHUP");
  await broker.event("certificates.loaded");
  agent.child.kill("SIGHUP");
  await agent.line(({ event, changed }) => event === "reloaded" && changed === true);
  await until(() => connections() === 2);
  t.notOk(
    agent.lines.some(({ event }) => event === "disconnected"),
    "it left by itself",
  );
  t.equal(await agent.stop(), 0);
});

test("each new connection has the certificates of then; half of a change is waited for with the old ones", async (t) => {
  const [first, second] = [await makeCertificates(t), await makeCertificates(t)];
  for (const one of [first, second]) await one.device("pi-7");
  const { broker, agent, put, connections, restart } = await startRotated(t, first, rotated);
  await put(second, ["pi-7.crt"]);
  agent.child.kill("SIGHUP");
  t.match(await agent.event("reloadFailed"), { code: "EQ_TLS_UNUSABLE", reason: /is not the key of/ });
  await put(second, ["ca.crt", "server.crt", "server.key"]);
  await broker.stop();
  const again = restart();
  await again.event("ready");
  await agent.line(({ code }) => code === "EQ_BROKER_UNTRUSTED" || code === "EQ_BROKER_UNREACHABLE");
  t.equal(connections(), 1, "the authority has changed");
  await put(second, ["pi-7.key"]);
  await until(() => connections() === 2);
  t.notOk(
    agent.lines.some(({ event }) => event === "reloaded"),
    "what could not be used was not said to be read",
  );
  t.equal(await agent.stop(), 0);
});

test("a consumer reads its files again for each connection", async (t) => {
  const [first, second] = [await makeCertificates(t), await makeCertificates(t)];
  const caFile = join(await temporaryDirectory(t), "ca.crt");
  await copyFile(first.caFile, caFile);
  const start = (listen: string, { args }: Certificates) =>
    startProgram(t, "broker", ["--listen", listen, ...args, "--allow-anonymous", "--durability", "memory"]);
  const broker = start(`mqtts://127.0.0.1:${await freePort()}`, first);
  const [url = ""] = (await broker.event("ready")).listen as string[];
  const consumer = startProgram(t, "consume", ["--broker", url, "--ca-file", caFile, "--format", "json"]);
  const said = (event: string): number => consumer.stderr.split(`"event":"${event}"`).length - 1;
  await until(() => said("ready") === 1);
  await broker.stop();
  await start(url, second).event("ready");
  await until(() => said("unreachable") > 0);
  t.equal(said("joined"), 0, "the authority has changed");
  await writeFile(caFile, "half of a change");
  await until(() => consumer.stderr.includes(`${caFile}: `));
  await copyFile(second.caFile, caFile);
  await until(() => said("joined") === 1);
  t.equal(await consumer.stop(), 0);
});
