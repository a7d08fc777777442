/** What the doctor finds before a start that would fail, and that it leaves everything as it was. */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { test } from "tap";
import { startBroker, temporaryDirectory } from "../support/broker.ts";
import { startProgram } from "../support/program.ts";
import type { Teardown } from "../support/teardown.ts";
import { nowhere, startAgent, tradeLine } from "./support.ts";

interface Found {
  name: string;
  verdict: string;
  detail: string;
}

async function doctor(t: Teardown, ...args: string[]): Promise<Found[]> {
  const program = startProgram(t, "agent", ["doctor", "--json", "--agent-id", "pi-7", ...args]);
  await program.exited;
  return JSON.parse(String(program.lines[0]?.text));
}

test("a doctor who does not know the running agent's data directory lets it stay connected, and makes no directory", async (t) => {
  const { url } = await startBroker(t, { args: ["--durability", "memory"] });
  const agent = startAgent(t, await temporaryDirectory(t), url, "--source", "stdin:");
  await agent.event("connected");
  const home = await temporaryDirectory(t);
  const elsewhere = join(home, "equipoise", "agent");
  const found = await doctor(t, "--data-dir", elsewhere, "--broker", url);
  t.match(
    found.find(({ name }) => name === "broker"),
    { verdict: "ok", detail: /accepts pi-7-doctor/ },
  );
  t.match(
    found.find(({ name }) => name === "data dir"),
    { verdict: "warn", detail: `${elsewhere} is not there` },
  );
  t.same(await readdir(home), []);
  agent.child.stdin.write(tradeLine(1));
  await agent.line(({ acknowledged }) => acknowledged === 1);
  t.notOk(agent.lines.some(({ event }) => event === "disconnected"));
});

test("ports that are taken and files that are not there fail at the doctor as they would at the start", async (t) => {
  const tcp = createServer().listen(0, "127.0.0.1");
  const udp = createSocket("udp4").bind(0, "127.0.0.1");
  await Promise.all([once(tcp, "listening"), once(udp, "listening")]);
  t.teardown(() => void tcp.close());
  t.teardown(() => void udp.close());
  const taken = `127.0.0.1:${(tcp.address() as AddressInfo).port}`;
  const dataDir = await temporaryDirectory(t);
  const missing = `file:${join(dataDir, "missing")}`;
  const specs = [
    `tcp:${taken}`,
    `udp:127.0.0.1:${udp.address().port}`,
    `http:${taken}`,
    missing,
    "tcp:127.0.0.1:0",
  ];
  const flags = [...specs.flatMap((spec) => ["--source", spec]), "--http", taken, "--data-dir", dataDir];
  const found = await doctor(t, ...flags, "--broker", nowhere);
  const inUse = (where: string): Found => ({
    name: where.startsWith("--") ? "http" : "source",
    verdict: "fail",
    detail: `EQ_PORT_IN_USE: ${where}:`,
  });
  t.match(
    found.filter(({ name }) => name === "source" || name === "http"),
    [
      ...specs.slice(0, 3).map(inUse),
      { name: "source", verdict: "fail", detail: /^EQ_SOURCE_UNREADABLE/ },
      { name: "source", verdict: "ok" },
      inUse(`--http ${taken}`),
    ],
  );
  const agent = startAgent(t, dataDir, nowhere, ...flags);
  t.equal((await agent.exited).code, 1);
  t.match(agent.stderr, `EQ_PORT_IN_USE: tcp:${taken}`);
});

test("a page of the database that is damaged is found before the start, and the file stays as it is", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const agent = startAgent(t, dataDir, nowhere, "--source", "stdin:");
  await agent.event("ready");
  agent.child.stdin.write(tradeLine(1));
  await agent.line(({ buffered }) => buffered === 1);
  await agent.stop();
  const path = join(dataDir, "buffer.db");
  const file = await open(path, "r+");
  const { size } = await file.stat();
  for (let at = 4_096; at < size; at += 4_096) await file.write(Buffer.alloc(64, 0xee), 0, 64, at);
  await file.close();
  const found = await doctor(t, "--data-dir", dataDir, "--broker", nowhere);
  t.match(
    found.find(({ name }) => name === "buffer"),
    { verdict: "warn", detail: /the agent will set it aside and begin a new one$/ },
  );
  t.ok(existsSync(path));
});
