/**
 * The whole agent and its power: kill -9 at any moment of its life, its start and its recovery included, while it is
 * fed, with a broker that is killed and frozen too. Five cuts in `npm test`; `npm run soak` asks for 500.
 */
import { join } from "node:path";
import type { Gap, TickRecord } from "@equipoise/shared";
import { type Test, test } from "tap";
import type { Judgement } from "../agent/completeness.ts";
import { counting, startAgent, until } from "../agent/support.ts";
import { startBroker, type TestBroker, temporaryDirectory } from "../support/broker.ts";
import type { Program } from "../support/program.ts";
import { pause } from "../support/time.ts";
import { Link } from "./link.ts";
import { gapWords, readStreams, StreamLedger } from "./stream-ledger.ts";

const cuts = Number(process.env.AGENT_POWER_CUTS ?? 5);
const progressCuts = 25;
/** A quarter of the cuts come within so long from the first moment, the others so long after the start at most. */
const maxLifeMs = 800;
const symbols = ["A", "B", "C"];

const oneOf = <T>(...choices: T[]): T => choices[Math.floor(Math.random() * choices.length)] as T;
const digits = (): string => `1.${Math.random().toFixed(16).slice(2)}${Math.random().toFixed(16).slice(2)}`;

/** Trades of one run, numbered from 1 for each symbol. */
class Feed {
  readonly sent = new Map<string, number>();
  readonly #run: number;
  #stopped = false;

  constructor(run: number) {
    this.#run = run;
  }

  /** Writes bursts until it is stopped. */
  async into(program: Program): Promise<void> {
    const { stdin } = program.child;
    stdin.on("error", () => {}); // the agent is killed while it reads
    while (!this.#stopped) {
      const lines = Array.from({ length: Math.random() * 200 }, () => this.#line());
      if (!this.#stopped && stdin.writable) stdin.write(lines.join(""));
      await pause(Math.random() * 40);
    }
  }

  stop(): void {
    this.#stopped = true;
  }

  #line(): string {
    const symbol = oneOf(...symbols);
    const n = (this.sent.get(symbol) ?? 0) + 1;
    this.sent.set(symbol, n);
    const timeUs = 1_723_161_255_342_000 + n;
    const trade = { venue: "v", symbol, tradeId: `${this.#run}-${n}`, price: digits(), size: digits() };
    return `${JSON.stringify({ ...trade, side: "buy", exchangeTimeUs: timeUs })}\n`;
  }
}

/** A broker that is now and then killed, or frozen, for some of the agent's lives. */
class UnsteadyBroker {
  kills = 0;
  freezes = 0;
  readonly #t: Test;
  #broker: TestBroker;
  #state: "up" | "gone" | "frozen" = "up";

  constructor(t: Test, broker: TestBroker) {
    this.#t = t;
    this.#broker = broker;
  }

  async change(): Promise<void> {
    if (this.#state !== "up") return Math.random() < 0.4 ? this.mend() : undefined;
    const what = Math.random();
    if (what < 0.06) {
      this.kills += 1;
      this.#state = "gone";
      await this.#broker.program.stop("SIGKILL");
    } else if (what < 0.1) {
      this.freezes += 1;
      this.#state = "frozen";
      this.#broker.program.child.kill("SIGSTOP");
    }
  }

  async mend(): Promise<void> {
    const { dataDir, port, program } = this.#broker;
    if (this.#state === "frozen") program.child.kill("SIGCONT");
    if (this.#state === "gone") this.#broker = await startBroker(this.#t, { dataDir, port });
    this.#state = "up";
  }
}

const bufferArgs = (): string[] => [
  ...["--buffer-max-bytes", "1MiB", "--buffer-when-full", oneOf("block", "dropOldest", "dropNewest")],
  ...["--buffer-drain", oneOf("oldestFirst", "newestFirst"), "--buffer-min-free-disk-bytes", "0"],
  ...["--buffer-commit-latency-ms", oneOf("5", "100", "1000"), "--uplink-linger-ms", oneOf("0", "0", "5")],
];

/** One life of the agent, fed until it is cut off. @returns whether it had started */
async function live(t: Test, agent: Program, feed: Feed, name: string): Promise<boolean> {
  const fed = feed.into(agent);
  if (Math.random() < 0.75) await agent.event("ready");
  await pause(Math.random() * maxLifeMs);
  await agent.stop("SIGKILL");
  feed.stop();
  await fed;
  t.equal(agent.stderr, "", name);
  return agent.lines.some(({ event }) => event === "ready");
}

/** What was given up is told of once the run of losses is over, at the latest by the next run. */
async function drain(t: Test, start: (...args: string[]) => Program): Promise<void> {
  for (let round = 0; round < 3; round += 1) {
    const last = start("--once");
    last.child.stdin.end();
    t.same(await last.exited, { code: 0, signal: null }, last.stderr);
  }
}

/** A number's place in the run that fed it, where its tick was read. */
interface Anchor {
  run: number;
  /** From 1 for each symbol and run. */
  n: number;
  seq: number;
}

/**
 * Each line takes a number, and so does each gap record; so between two ticks that were read, in order of their numbers, no
 * more lines of their run can be missing than numbers are told of there: as given up, or as a crash's when the second
 * one left the device uncommitted.
 */
function missedLines({ records, gaps }: Judgement): string[] {
  const [crashes, others] = [gaps.filter(isCrash), gaps.filter((gap) => !isCrash(gap))];
  const given = new Set(others.flatMap(({ fromSeq = 1, toSeq = 0 }) => counting(fromSeq, toSeq)));
  const anchors = records.flatMap(anchorOf).sort((a, b) => a.seq - b.seq);
  return anchors.flatMap((anchor, index) => {
    const before = anchors[index - 1] ?? { run: 0, n: 0, seq: 0 };
    const missing = anchor.n - (anchor.run === before.run ? before.n : 0) - 1;
    const ofCrash = (seq: number): boolean =>
      crashes.some(({ fromSeq = 1, toSeq = 0 }) => fromSeq <= seq && anchor.seq <= toSeq);
    const between = missing === 0 ? [] : counting(before.seq + 1, anchor.seq - 1);
    const told = between.filter((seq) => given.has(seq) || ofCrash(seq)).length;
    const isWell = missing >= 0 && missing <= told;
    return isWell
      ? []
      : [`between ${before.seq} and ${anchor.seq} ${missing} lines are missing, ${told} told of`];
  });
}

const isCrash = ({ reason }: Gap): boolean => reason === "crash";

function anchorOf(record: TickRecord): Anchor[] {
  if (record.type === "gap") return [];
  const [run = 0, n = 0] = (record.tradeId ?? "").split("-").map(Number);
  return [{ run, n, seq: record.seq }];
}

/** @returns in words what was read */
function judgeRead(t: Test, feeds: readonly Feed[], ledger: StreamLedger): string {
  const judged = ledger.judged();
  t.equal(judged.size, symbols.length, "one epoch from beginning to end");
  const judgements = [...judged.values()];
  const [holes, usedTwice] = [
    judgements.flatMap((one) => one.holes),
    judgements.flatMap((one) => one.usedTwice),
  ];
  t.same([holes, usedTwice], [[], []], "no hole without a record, no number for two ticks");
  const symbolOf = (name: string): string | undefined => name.split("/")[2];
  const read = new Set(
    [...judged].flatMap(([name, { tradeIds }]) => [...tradeIds].map((id) => `${symbolOf(name)} ${id}`)),
  );
  t.same(judgements.flatMap(missedLines), [], "every line took a number");
  const fed = feeds.reduce((sum, { sent }) => sum + [...sent.values()].reduce((a, b) => a + b, 0), 0);
  t.ok(read.size > 0 && read.size <= fed);
  return (
    `${fed} ticks fed, ${read.size} read, ${ledger.repeats} repeats; gap records: ${gapWords(judgements)}; ` +
    `numbers used twice ${usedTwice.length}, holes without a record ${holes.length}`
  );
}

test(`${cuts} power cuts of an agent that is fed: what is acknowledged is read, every missing number is told of`, {
  timeout: 60_000 + cuts * 10_000,
}, async (t) => {
  const broker = await startBroker(t);
  const acknowledged = new Map<string, string>();
  const link = await Link.start(t, broker.port, (topic, payload) => acknowledged.set(payload, topic));
  const ledger = new StreamLedger();
  await readStreams(t, broker.url, ledger);
  const unsteady = new UnsteadyBroker(t, broker);
  const dataDir = join(await temporaryDirectory(t), "agent");
  const feeds: Feed[] = [];
  let ready = 0;
  const start = (...args: string[]): Program =>
    startAgent(t, dataDir, link.url, "--source", "stdin:", ...bufferArgs(), ...args);
  for (let run = 1; run <= cuts; run += 1) {
    await unsteady.change();
    const feed = new Feed(run);
    feeds.push(feed);
    if (await live(t, start(), feed, `run ${run}`)) ready += 1;
    if (run % progressCuts > 0) continue;
    t.comment(`${run} of ${cuts} cuts, ${ready} of them after the start; ${ledger.records} records read`);
  }
  await unsteady.mend();
  await drain(t, start);
  await until(() => [...acknowledged].every(([payload, topic]) => ledger.has(topic, payload)));
  const words = judgeRead(t, feeds, ledger);
  t.comment(
    `${cuts} cuts, ${ready} of them after the start, ${unsteady.kills} kills and ${unsteady.freezes} freezes of the ` +
      `broker; ${acknowledged.size} messages acknowledged; ${words}`,
  );
});
