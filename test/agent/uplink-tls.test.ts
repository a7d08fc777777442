import { once } from "node:events";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { createServer } from "node:tls";
import { readTlsFiles, type TlsClientFiles } from "@equipoise/shared";
import { type ConsumerEvent, joinPool } from "@equipoise/shared/client";
import { test } from "tap";
import { type Certificates, makeCertificates } from "../broker/auth-fixtures.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { startProgram } from "../support/program.ts";
import type { Teardown } from "../support/teardown.ts";
import { startAgent, tradeLine, until } from "./support.ts";
import { flags, noFiles as none, startUplink, Ticks } from "./uplink-support.ts";

/** A broker that lets in only devices of its authority. */
async function startStrict(t: Teardown, { args, caFile }: Certificates, scheme = "mqtts"): Promise<string> {
  const strict = ["--tls-ca-file", caFile, "--tls-require-client-cert", "--durability", "memory"];
  const listen = ["--listen", `${scheme}://127.0.0.1:0`];
  const program = startProgram(t, "broker", [...listen, ...args, ...strict]);
  return ((await program.event("ready")).listen as string[])[0] as string;
}

/** A server that speaks no MQTT and refuses with an alert, as most brokers do. */
async function startAlerting(t: Teardown, { caFile, certFile, keyFile }: Certificates): Promise<string> {
  const [ca, cert, key] = [caFile, certFile, keyFile].map((file) => readFileSync(file)) as [
    Buffer,
    Buffer,
    Buffer,
  ];
  const server = createServer({ ca, cert, key, requestCert: true, rejectUnauthorized: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => server.close());
  return `mqtts://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

const member = { pool: "p", filter: "ticks/#", handler: () => {} };

for (const scheme of ["mqtts", "wss"]) {
  test(`over ${scheme} ticks go from agent to member, each with its certificate`, async (t) => {
    const certificates = await makeCertificates(t);
    const url = await startStrict(t, certificates, scheme);
    const { caFile } = certificates;
    const [pi, desk] = [await certificates.device("pi-7"), await certificates.device("desk")];
    const consume = startProgram(t, "consume", [
      ...["--broker", url, "--pool", "p", "--client-id", "desk", "--count", "2", "--format", "json"],
      ...flags("", { caFile, ...desk }),
    ]);
    await until(() => consume.stderr.includes('"ready"'));
    const dataDir = await temporaryDirectory(t);
    const args = ["--source", "stdin:", "--once", ...flags("uplink-", { caFile, ...pi })];
    const agent = startAgent(t, dataDir, url, ...args);
    agent.child.stdin.end(tradeLine(1) + tradeLine(2));
    t.equal((await agent.exited).code, 0);
    t.equal((await consume.exited).code, 0);
    t.same(
      consume.lines.map(({ tradeId }) => tradeId),
      ["1", "2"],
    );
  });
}

test("whoever does not know the broker's authority, or is refused by an alert, says so with one code", async (t) => {
  const certificates = await makeCertificates(t);
  const { caFile } = certificates;
  const device = await certificates.device("pi-7");
  const stranger = await makeCertificates(t);
  const ours = await startStrict(t, certificates);
  const alerting = await startAlerting(t, certificates);
  const wrong: [string, string, Partial<TlsClientFiles>][] = [
    ["the broker's authority is not known", ours, { ...device }],
    ["the authority of somebody else", ours, { caFile: stranger.caFile, ...device }],
    ["no certificate", alerting, { caFile }],
  ];
  for (const [what, url, files] of wrong) {
    const { lines, stop } = startUplink(t, [url], new Ticks(1), {
      tls: () => readTlsFiles({ ...none, ...files }),
    });
    await until(() => lines.length > 0);
    t.match(lines[0], { event: "disconnected", code: "EQ_BROKER_UNTRUSTED" }, `${what}: ${lines[0]?.reason}`);
    await stop();
    const tls = readTlsFiles({ ...none, ...files });
    await t.rejects(joinPool({ ...member, broker: url, tls }).start(), { code: "EQ_BROKER_UNTRUSTED" }, what);
  }
});

test("a connection that is closed without a word says what that may mean over TLS, and is tried again", async (t) => {
  const certificates = await makeCertificates(t);
  const url = await startStrict(t, certificates);
  const tls = readTlsFiles({ ...none, caFile: certificates.caFile });
  const { lines } = startUplink(t, [url], new Ticks(1), { tls: () => tls });
  await until(() => lines.length > 0);
  t.match(lines[0], { code: "EQ_BROKER_UNREACHABLE", reason: /before it answered.*certificate/ });
  const events: ConsumerEvent[] = [];
  const consumer = joinPool({ ...member, broker: url, tls, onEvent: (event) => events.push(event) });
  const started = consumer.start();
  await until(() => events.length > 1);
  t.match(events[0], { event: "unreachable", reason: /before it answered.*certificate/ });
  await consumer.stop();
  await started;
});

test("files that cannot be used end the agent and the consumer with the file's name and one code", async (t) => {
  const { dir, caFile, certFile, keyFile, device } = await makeCertificates(t);
  const other = await device("pi-8");
  const text = join(dir, "notes.txt");
  await writeFile(text, "not a key");
  const wrong: [Partial<TlsClientFiles>, RegExp][] = [
    [{ caFile: join(dir, "none.crt") }, /none\.crt: ENOENT/],
    [{ caFile: text }, /notes\.txt: /],
    [{ certFile, keyFile: text }, /notes\.txt: /],
    [{ certFile: text, keyFile }, /notes\.txt: /],
    [{ certFile, keyFile: other.keyFile }, /pi-8\.key is not the key of \S*server\.crt/],
    [{ certFile }, /certFile is set, keyFile is not/],
    [{ keyFile }, /keyFile is set, certFile is not/],
  ];
  for (const [files, message] of wrong) {
    t.throws(() => readTlsFiles({ ...none, ...files }), { code: "EQ_TLS_UNUSABLE", message });
  }
  t.same(readTlsFiles(none), {});
  t.same(Object.keys(readTlsFiles({ caFile, certFile, keyFile })), ["ca", "cert", "key"]);
  const files = { certFile, keyFile: text };
  const dataDir = await temporaryDirectory(t);
  const programs = [
    startAgent(t, dataDir, "mqtts://localhost:1", "--source", "stdin:", ...flags("uplink-", files)),
    startProgram(t, "consume", ["--broker", "mqtts://localhost:1", ...flags("", files)]),
  ];
  for (const program of programs) {
    t.same(await program.exited, { code: 1, signal: null });
    t.match(program.stderr, /EQ_TLS_UNUSABLE: \S*notes\.txt: /);
    t.equal(program.stderr.split("\n").length, 2, "one line");
  }
});

test("keys given as text that are none are refused at the start of a member", async (t) => {
  const tls = { key: "no key", cert: "no certificate" };
  await t.rejects(joinPool({ ...member, broker: "mqtts://127.0.0.1:1", tls }).start(), {
    code: "EQ_TLS_UNUSABLE",
  });
});
