/**
 * A day of an agent, 120 times as fast: venues with a daily pattern that break off, a broker that goes and comes,
 * requests all the time. Its memory is looked at after a forced collection and must not grow. Ten simulated minutes in
 * `npm test`, too few to judge memory by; `npm run soak` asks for 24 hours, which take twelve minutes.
 */
import { join } from "node:path";
import { type AgentHeartbeat, ControlClient } from "@equipoise/shared";
import mqtt from "mqtt";
import { type Test, test } from "tap";
import { until } from "../agent/support.ts";
import { startBroker, type TestBroker, temporaryDirectory } from "../support/broker.ts";
import { type Program, startCommand } from "../support/program.ts";
import { pause } from "../support/time.ts";
import { Link } from "./link.ts";
import { gapWords, readStreams, StreamLedger } from "./stream-ledger.ts";
import { slope } from "./trend.ts";
import { VenueDay } from "./venue-day.ts";

const factor = 120;
const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const simulatedMs = Number(process.env.AGENT_DAY_HOURS ?? 1 / 6) * hourMs;
/** Whether it is long enough to judge memory by. */
const isJudged = simulatedMs >= dayMs / 4;
const samplePeriodMs = Math.min(hourMs / 4, simulatedMs / 4);
const stepMs = 20;
/** Of what happens to the agent, and of what is said of it. */
const periodsMs = { disturbance: hourMs / 4, outage: hourMs, news: 2 * hourMs };
const names = ["disturbance", "outage", "news"] as const;
/** What settles in the first hours, code and caches, is not held against it. */
const warmUpShare = 0.25;
/** Growth in a day that is taken for noise. */
const mostHeapBytes = 3 * 2 ** 20;
const mostResidentBytes = 24 * 2 ** 20;

const program = new URL("./hasty-agent.ts", import.meta.url).pathname;

/** Asks for something several times a second, and counts what is answered. */
async function askAround(t: Test, url: string, symbols: readonly string[]) {
  const counts = { asked: 0, answered: 0 };
  const client = mqtt.connect(url, { clientId: "desk", reconnectPeriod: 100 });
  t.teardown(() => client.endAsync(true));
  client.on("error", () => {}); // the broker is away for a while
  client.on("message", (_, payload) => {
    if (JSON.parse(payload.toString()).last === true) counts.answered += 1;
  });
  await client.subscribeAsync("replies/desk/#", { qos: 1 });
  const bodies: Record<string, () => object> = {
    latest: () => ({}),
    range: () => ({ fromSeq: 1 + Math.floor(Math.random() * 1_000), limit: 200 }),
    resend: () => ({ epoch: "of another life", fromSeq: 1, toSeq: 100 }),
    stats: () => ({}),
    ping: () => ({}),
    nonsense: () => ({}),
  };
  const ask = (): void => {
    if (!client.connected) return;
    const methods = Object.keys(bodies);
    const method = methods[Math.floor(Math.random() * methods.length)] as string;
    const symbol = symbols[Math.floor(Math.random() * symbols.length)];
    counts.asked += 1;
    const envelope = { requestId: String(counts.asked), replyTo: "replies/desk/r", venue: "binance", symbol };
    const body = JSON.stringify({ ...envelope, ...bodies[method]?.() });
    client.publish(`agents/pi-7/requests/${method}`, body, { qos: 1 });
  };
  const timer = setInterval(ask, 100);
  t.teardown(() => clearInterval(timer));
  return { counts, stop: () => clearInterval(timer) };
}

/** The broker goes for some minutes of every other hour, in one way or another. */
class Outages {
  count = 0;
  readonly #t: Test;
  readonly #link: Link;
  #broker: TestBroker;
  #running: Promise<void> | undefined;

  constructor(t: Test, broker: TestBroker, link: Link) {
    this.#t = t;
    this.#broker = broker;
    this.#link = link;
  }

  begin(): void {
    this.#running ??= this.#one().finally(() => {
      this.#running = undefined;
    });
  }

  async ended(): Promise<void> {
    await this.#running;
  }

  async #one(): Promise<void> {
    this.count += 1;
    const forMs = ((5 + Math.random() * 15) * 60_000) / factor;
    const { program: process, dataDir, port } = this.#broker;
    const kind = this.count % 3;
    if (kind === 0) return this.#link.cut();
    if (kind === 1) process.child.kill("SIGSTOP");
    else await process.stop("SIGKILL");
    await pause(forMs);
    if (kind === 1) process.child.kill("SIGCONT");
    else this.#broker = await startBroker(this.#t, { dataDir, port });
  }
}

function judgeMemory(t: Test, agent: Program): void {
  const samples = agent.lines.filter(({ event }) => event === "memory");
  const settled = samples.slice(Math.floor(samples.length * warmUpShare));
  const growth = (field: "heapBytes" | "rss"): number =>
    slope(settled.map((line) => ({ timeMs: Number(line.timeMs), value: Number(line[field]) }))) * dayMs;
  const mebibytes = (bytes: unknown): string => (Number(bytes) / 2 ** 20).toFixed(1);
  const [heap, resident] = [growth("heapBytes"), growth("rss")];
  t.comment(
    `${samples.length} samples; heap ${settled.map(({ heapBytes }) => mebibytes(heapBytes)).join(" ")} MiB; ` +
      `resident ${settled.map(({ rss }) => mebibytes(rss)).join(" ")} MiB`,
  );
  if (!isJudged) return;
  t.ok(heap < mostHeapBytes, `the heap grows by ${mebibytes(heap)} MiB in a day`);
  t.ok(resident < mostResidentBytes, `the resident memory grows by ${mebibytes(resident)} MiB in a day`);
}

async function liveThrough(t: Test, venues: VenueDay, outages: Outages, news: () => string): Promise<void> {
  const startedAtMs = performance.now();
  const due = { ...periodsMs };
  for (let timeMs = 0; timeMs < simulatedMs; ) {
    await pause(stepMs);
    const nowMs = (performance.now() - startedAtMs) * factor;
    venues.trade(nowMs, nowMs - timeMs);
    timeMs = nowMs;
    if (timeMs >= due.disturbance) venues.disturb(timeMs);
    if (timeMs >= due.outage) outages.begin();
    if (timeMs >= due.news)
      t.comment(`${(timeMs / hourMs).toFixed(1)} hours, ${outages.count} outages, ${news()}`);
    for (const name of names) if (timeMs >= due[name]) due[name] += periodsMs[name];
  }
  await outages.ended();
}

test(`${(simulatedMs / hourMs).toFixed(1)} simulated hours: every number is accounted for, and memory does not grow`, {
  timeout: simulatedMs / factor + 240_000,
}, async (t) => {
  const broker = await startBroker(t);
  const unread = new Map<string, string>();
  const link = await Link.start(t, broker.port, (topic, payload) => {
    if (topic.startsWith("ticks/")) unread.set(payload, topic);
  });
  const ledger = new StreamLedger();
  await readStreams(t, broker.url, ledger);
  const venues = new VenueDay();
  await venues.start(t);
  const dataDir = join(await temporaryDirectory(t), "agent");
  const agent = startCommand(t, process.execPath, [
    ...["--expose-gc", program, String(factor), String(samplePeriodMs)],
    ...["--agent-id", "pi-7", "--data-dir", dataDir, "--broker", link.url, "--log-level", "warn"],
    ...venues.specs.flatMap((spec) => ["--source", spec]),
    ...["--heartbeat-ms", "600000", "--requests-max-per-second", "1"], // a second of its own
    ...["--shutdown-timeout-ms", "1200000"],
  ]);
  const outages = new Outages(t, broker, link);
  await until(() => {
    venues.trade(0, 1_000);
    return ledger.records > 0;
  });
  // Before the agent is there nobody answers.
  const desk = await askAround(t, broker.url, venues.symbols);
  if (isJudged) await venues.fillMemories(9_000, () => pause(100));
  await liveThrough(t, venues, outages, () => `${ledger.records} records read`);
  desk.stop();
  const control = new ControlClient("agent", { "data-dir": dataDir }, {});
  const waits = async (): Promise<number> =>
    (await control.ask<AgentHeartbeat>("GET", "/status")).buffer.ticks;
  await until(async () => (await waits()) === 0, Number.POSITIVE_INFINITY);
  t.equal(await agent.stop("SIGTERM"), 0, agent.stderr);
  await until(() => {
    for (const [payload, topic] of unread) if (ledger.has(topic, payload)) unread.delete(payload);
    return unread.size === 0;
  });

  const judged = ledger.judged();
  t.equal(judged.size, 2 * venues.symbols.length, "one epoch in every stream");
  for (const [name, { holes, usedTwice }] of judged) t.same([holes, usedTwice], [[], []], name);
  const numbered = [...judged].filter(([name]) => name.startsWith("ticks/binance/"));
  for (const [name, { tradeIds, gaps }] of numbered) {
    const ids = [...tradeIds].map(Number);
    const told = gaps.reduce((sum, { count }) => sum + (count ?? 0), 0);
    t.equal(tradeIds.size + told, Math.max(...ids) - Math.min(...ids) + 1, `${name}: every trade id`);
  }
  t.ok(
    desk.counts.answered > desk.counts.asked / 4,
    `${desk.counts.answered} of ${desk.counts.asked} answered`,
  );
  judgeMemory(t, agent);
  t.comment(
    `${JSON.stringify(venues.sent)} trades, faults of venues ${JSON.stringify(venues.faults)}, ${outages.count} outages; ` +
      `${ledger.records} records read, ${ledger.repeats} repeats; gap records: ${gapWords(judged.values())}`,
  );
});
