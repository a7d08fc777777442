import { once } from "node:events";
import { readFileSync } from "node:fs";
import { request as httpRequest } from "node:http";
import { connect } from "node:net";
import { test } from "tap";
import { agentFamilies } from "../../agent/src/http/metrics.ts";
import { brokerFamilies, maxMembers, maxPools, type Snapshot } from "../../broker/src/http/metrics.ts";
import { Readiness } from "../../broker/src/http/readiness.ts";
import { isLocalHttpAddress } from "../../shared/src/http/address.ts";
import { encodeFamilies } from "../../shared/src/http/exposition.ts";
import { ProcessMetrics } from "../../shared/src/http/process-metrics.ts";
import { startBroker } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import { startProgram } from "../support/program.ts";
import type { Teardown } from "../support/teardown.ts";

async function startWithHttp(t: Teardown) {
  const broker = await startBroker(t, { args: ["--http", "127.0.0.1:0"] });
  const { http } = await broker.program.event("ready");
  return { ...broker, http: http as string };
}

/** The values of one metric by its labels. */
function valuesOf(text: string, name: string): Record<string, number> {
  const lines = text.split("\n").filter((line) => line.startsWith(`${name}{`) || line.startsWith(`${name} `));
  return Object.fromEntries(
    lines.map((line) => {
      const at = line.lastIndexOf(" ");
      return [line.slice(name.length, at), Number(line.slice(at + 1))];
    }),
  );
}

const emptySnapshot: Snapshot = {
  events: new Map(),
  received: 0,
  receivedBytes: 0,
  unmatched: 0,
  delivered: 0,
  connections: 0,
  sessions: 0,
  pools: [],
  journal: { chunks: 0, commits: 0, pendingChunks: 0 },
};

const emptyAgent = {
  buffer: { setAside: {} },
  uplink: {},
  sources: [],
  clock: {},
  device: { network: null, throttling: null },
  requests: {},
} as unknown as Parameters<typeof agentFamilies>[0];

function poolOf(name: string, members: number): Snapshot["pools"][number] {
  const member = { health: "HEALTHY", inFlight: 0, credit: 1, settled: 0, ackLatencyMs: null } as const;
  const counts = {
    backlog: 0,
    backlogBytes: 0,
    inFlight: 0,
    freeCredit: 0,
    settled: 0,
    redelivered: 0,
    dropped: 0,
  };
  const memberReports = Array.from({ length: members }, (_, at) => ({ ...member, clientId: `m-${at}` }));
  return { name, members, ...counts, memberReports } as unknown as Snapshot["pools"][number];
}

test("/metrics counts what was published, delivered, settled and matched nobody", async (t) => {
  const { port, http } = await startWithHttp(t);
  const member = await MqttClient.connect(t, port, "worker");
  await member.subscribe("$share/pricing/ticks/#");
  const publisher = await MqttClient.connect(t, port, "publisher");
  for (let number = 0; number < 3; number++) await publisher.publish("ticks/a", `${number}`);
  await publisher.publish("nobody/listens", "x");
  for (let number = 0; number < 2; number++) {
    const { messageId } = await member.next("publish");
    member.send({ cmd: "puback", messageId });
  }
  // The answer to PINGREQ says that the PUBACKs before it were read.
  member.send({ cmd: "pingreq" });
  await member.next("pingresp");
  const answer = await fetch(`${http}/metrics`);
  t.equal(answer.status, 200);
  t.match(answer.headers.get("content-type"), /^text\/plain; version=0\.0\.4/);
  const text = await answer.text();
  t.same(valuesOf(text, "equipoise_received_messages_total"), { "": 4 });
  t.ok((valuesOf(text, "equipoise_received_bytes_total")[""] ?? 0) > 40);
  t.same(valuesOf(text, "equipoise_delivered_messages_total"), { "": 2 });
  t.same(valuesOf(text, "equipoise_connections"), { "": 2 });
  t.same(valuesOf(text, "equipoise_pool_members"), { '{pool="pricing"}': 1 });
  t.same(valuesOf(text, "equipoise_pool_settled_messages_total"), { '{pool="pricing"}': 2 });
  t.same(valuesOf(text, "equipoise_pool_in_flight_messages"), { '{pool="pricing"}': 1 });
  t.same(valuesOf(text, "equipoise_member_settled_messages_total"), {
    '{pool="pricing",client="worker"}': 2,
  });
  t.ok(
    (valuesOf(text, "equipoise_member_ack_latency_seconds")['{pool="pricing",client="worker"}'] ?? -1) >= 0,
  );
  t.equal(valuesOf(text, "equipoise_events_total")['{event="connection.opened"}'], 2);
  t.ok((valuesOf(text, "equipoise_unmatched_messages_total")[""] ?? 0) >= 1);
  t.ok((valuesOf(text, "equipoise_journal_commits_total")[""] ?? 0) >= 1);
  t.ok((valuesOf(text, "process_resident_memory_bytes")[""] ?? 0) > 1e6);
});

test("every line of /metrics is HELP, TYPE or a sample of the family named before, and counters end in _total", async (t) => {
  const { http } = await startWithHttp(t);
  const text = await (await fetch(`${http}/metrics`)).text();
  t.ok(text.endsWith("\n"));
  let family = { name: "", type: "" };
  const seen = new Set<string>();
  for (const line of text.trimEnd().split("\n")) {
    const [, help] = /^# HELP ([a-z_]+) .+\.$/.exec(line) ?? [];
    const [, name = "", type = ""] = /^# TYPE ([a-z_]+) (counter|gauge)$/.exec(line) ?? [];
    if (help !== undefined) {
      t.notOk(seen.has(help), `${help} comes once`);
      seen.add(help);
      family = { name: help, type: "" };
    } else if (name !== "") {
      t.equal(name, family.name);
      t.equal(type === "counter", name.endsWith("_total"), `${name} is a ${type}`);
      family = { name, type };
    } else {
      t.match(line, new RegExp(`^${family.name}(\\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\\})? [0-9.e+-]+$`));
    }
  }
});

test("docs/metrics.md names every metric, and no other", (t) => {
  const page = readFileSync(new URL("../../docs/metrics.md", import.meta.url), "utf8");
  const documented = Array.from(page.matchAll(/^\| `([a-z_]+)`/gm), ([, name]) => name).sort();
  const families = [
    ...brokerFamilies(emptySnapshot),
    ...agentFamilies(emptyAgent),
    ...new ProcessMetrics().families(),
  ];
  t.same(documented, families.map(({ name }) => name).sort());
  t.end();
});

test("labels are escaped, so a client id cannot forge a metric", (t) => {
  const value = 1;
  const samples = [{ labels: { client: 'a"} 1\nforged 2\\' }, value }];
  const text = encodeFamilies([{ name: "x", help: "h.", type: "gauge", samples }]);
  t.equal(text, '# HELP x h.\n# TYPE x gauge\nx{client="a\\"} 1\\nforged 2\\\\"} 1\n');
  t.end();
});

test("however many pools and members there are, an answer has a bound and says what it left out", (t) => {
  const pools = Array.from({ length: maxPools + 7 }, (_, at) =>
    poolOf(`p-${String(at).padStart(4, "0")}`, 5),
  );
  const text = encodeFamilies(brokerFamilies({ ...emptySnapshot, pools }));
  t.equal(Object.keys(valuesOf(text, "equipoise_pool_members")).length, maxPools);
  t.equal(Object.keys(valuesOf(text, "equipoise_member_credit_messages")).length, maxMembers);
  t.same(valuesOf(text, "equipoise_metrics_omitted"), {
    '{kind="pool"}': 7,
    '{kind="member"}': (maxPools + 7) * 5 - maxMembers,
  });
  t.end();
});

test("/healthz and /readyz answer 200 while the broker listens; what is asked wrongly gets 404, 405, 431", async (t) => {
  const { http } = await startWithHttp(t);
  const healthy = await fetch(`${http}/healthz`);
  t.equal(healthy.status, 200);
  const ready = await fetch(`${http}/readyz?verbose`);
  t.equal(ready.status, 200);
  t.same(await ready.json(), { status: "ready" });
  t.equal((await fetch(`${http}/`)).status, 404);
  const posted = await fetch(`${http}/metrics`, { method: "POST", body: "x" });
  t.equal(posted.status, 405);
  t.equal(posted.headers.get("allow"), "GET, HEAD");
  const head = await fetch(`${http}/metrics`, { method: "HEAD" });
  t.equal(head.status, 200);
  t.ok(Number(head.headers.get("content-length")) > 1_000);
  t.equal(await head.text(), "");
  const request = httpRequest(`${http}/metrics`, { headers: { "x-long": "x".repeat(9_000) } });
  request.end();
  const [response] = await once(request, "response");
  response.resume();
  t.equal(response.statusCode, 431, "more than 8 KiB of headers");
});

test("it is unready before it listens, while it stops, and from a failed commit to the next good one", (t) => {
  let nowMs = 0;
  let commits = 3;
  const never = (): (() => void) => () => {};
  const clock = { wallMs: () => 0, monotonicMs: () => nowMs, after: never, every: never };
  const readiness = new Readiness(clock, () => commits);
  t.match(readiness.unreadyReason(), /starting/);
  readiness.listening();
  t.equal(readiness.unreadyReason(), undefined);
  readiness.storeFailed("EQ_STORE_FULL no space");
  t.match(readiness.unreadyReason(), /EQ_STORE_FULL no space/);
  commits++;
  t.equal(readiness.unreadyReason(), undefined);
  readiness.storeFailed("EQ_STORE_FULL no space");
  nowMs = 10_000;
  t.match(readiness.unreadyReason(), /EQ_STORE_FULL/);
  nowMs = 10_001;
  t.equal(readiness.unreadyReason(), undefined, "without messages nothing would ever be committed");
  readiness.stopping();
  t.match(readiness.unreadyReason(), /stopping/);
  t.end();
});

test("a request that does not come to its end is closed, while others are answered", async (t) => {
  const { http } = await startWithHttp(t);
  const socket = connect(Number(new URL(http).port), "127.0.0.1");
  t.teardown(() => socket.destroy());
  socket.write("GET /metrics HTTP/1.1\r\nHost: x\r\n");
  t.equal((await fetch(`${http}/healthz`)).status, 200);
  socket.resume();
  await once(socket, "close");
  t.pass("closed");
});

test("it listens on this machine only, and the error names the setting", async (t) => {
  for (const address of ["127.0.0.1:9090", "[::1]:0", "localhost:65535"])
    t.ok(isLocalHttpAddress(address), address);
  const refused = ["0.0.0.0:9090", "192.0.2.1:9090", "[::]:9090", "localhost", "127.0.0.1:70000", ":9090"];
  for (const address of refused) t.notOk(isLocalHttpAddress(address), address);
  const program = startProgram(t, "broker", ["--http", "0.0.0.0:9090"]);
  const { code } = await program.exited;
  t.equal(code, 2);
  t.match(program.stderr, /^equipoise-broker: EQ_CONFIG_BAD_VALUE: .*http.*HOST:PORT on this machine/);
  t.notMatch(program.stderr, /\n\s+at /);
});

test("an address in use is one clear line", async (t) => {
  const { http, dataDir } = await startWithHttp(t);
  const { host } = new URL(http);
  const args = ["--listen", "mqtt://127.0.0.1:0", "--data-dir", `${dataDir}/other`, "--http", host];
  const program = startProgram(t, "broker", args);
  t.equal((await program.exited).code, 1);
  t.match(program.stderr, /^equipoise-broker: EQ_PORT_IN_USE: --http 127\.0\.0\.1:/);
});
