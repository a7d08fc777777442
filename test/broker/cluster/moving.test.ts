/** How soon clients that know several brokers are at the next one, each a real process. */
import { test } from "tap";
import { joinPool } from "../../../shared/src/client/index.ts";
import { type TestBroker, temporaryDirectory } from "../../support/broker.ts";
import { type Line, type Program, startProgram } from "../../support/program.ts";
import type { Teardown } from "../../support/teardown.ts";
import { shortest, until } from "../../support/time.ts";
import { skip, startTwo } from "./brokers.ts";

const sample = "deploy/demo/sample/spot_btcusdt_20240808.trades.txt.gz";

async function startAgent(t: Teardown, urls: readonly string[]): Promise<Program> {
  const source = `file:${sample}?venue=binance&loop=true`;
  const agent = startProgram(t, "agent", [
    ...["--agent-id", "agent", "--source", source, "--speed", "20", "--broker", urls.join(",")],
    ...["--data-dir", await temporaryDirectory(t)],
  ]);
  await agent.event("connected");
  return agent;
}

async function startMember(t: Teardown, urls: readonly string[]): Promise<Program> {
  const brokers = urls.flatMap((url) => ["--broker", url]);
  const args = ["--pool", "p", "--filter", "ticks/#", "--client-id", "member", "--format", "json"];
  const member = startProgram(t, "consume", [...brokers, ...args]);
  await until(() => joined(member).length > 0);
  return member;
}

const said = ({ stderr }: Program): Line[] =>
  stderr.split("\n").flatMap((text) => (text.endsWith("}") ? [JSON.parse(text) as Line] : []));
/** Where it has been, in order. */
const joined = (member: Program): string[] =>
  said(member).flatMap(({ event, broker }) =>
    event === "ready" || event === "joined" ? [String(broker)] : [],
  );
const connected = ({ lines }: Program): string[] =>
  lines.filter(({ event }) => event === "connected").map(({ broker }) => String(broker));
const seqs = ({ lines }: Program): number[] =>
  lines.flatMap(({ seq }) => (typeof seq === "number" ? [seq] : []));

/** The longest time between two ticks that the member has handled. */
function longestPauseMs({ lines }: Program): number {
  const times = lines.flatMap(({ handledTimeUs: us }) => (typeof us === "number" ? [us / 1_000] : []));
  return Math.round(Math.max(...times.map((ms, at) => ms - (times[at - 1] ?? ms))));
}

interface Stage {
  /** Where both are. */
  first: TestBroker;
  other: TestBroker;
  agent: Program;
  member: Program;
}

async function startAll(t: Teardown): Promise<Stage> {
  const { a, b } = await startTwo(t);
  const agent = await startAgent(t, [a.url, b.url]);
  const [first, other] = connected(agent)[0] === a.url ? [a, b] : [b, a];
  const member = await startMember(t, [first.url, other.url]);
  await until(() => seqs(member).length > 20);
  return { first, other, agent, member };
}

/** How long it takes from now until something is so, in ms. */
async function elapsed(what: () => boolean): Promise<number> {
  const beganMs = performance.now();
  await until(what, 30_000);
  return Math.round(performance.now() - beganMs);
}

/** How long each takes to be at the other broker. */
async function moves({ agent, member, other }: Stage): Promise<{ agentMs: number; memberMs: number }> {
  const [agentMs, memberMs] = await Promise.all([
    elapsed(() => connected(agent)[1] === other.url),
    elapsed(() => joined(member)[1] === other.url),
  ]);
  return { agentMs, memberMs };
}

/** Waits until everything acknowledged has come. Returns how often something came again. */
async function repeatsInTheEnd({ agent, member }: Stage): Promise<number> {
  const soFar = Math.max(...seqs(member));
  await until(() => Math.max(...seqs(member)) > soFar + 20);
  await agent.stop();
  const { acknowledged } = agent.lines.findLast(({ event }) => event === "ended") as unknown as Counts;
  await until(() => new Set(seqs(member)).size >= acknowledged);
  return seqs(member).length - new Set(seqs(member)).size;
}

async function endAll({ first, other, agent, member }: Stage): Promise<void> {
  await Promise.all([agent, member, first.program, other.program].map((program) => program.stop("SIGKILL")));
}

interface Counts {
  acknowledged: number;
}

test("clients of a killed broker are at the next one within a second, and nothing is lost", {
  skip,
}, async (t) => {
  const bothMs = await shortest(1_000, async () => {
    const stage = await startAll(t);
    stage.first.program.child.kill("SIGKILL");
    const { agentMs, memberMs } = await moves(stage);
    const repeats = await repeatsInTheEnd(stage);
    t.comment(`agent after ${agentMs} ms, member after ${memberMs} ms`);
    t.pass(`${repeats} repeats, longest pause of the member ${longestPauseMs(stage.member)} ms`);
    await endAll(stage);
    return Math.max(agentMs, memberMs);
  });
  t.ok(bothMs < 1_000, `both after ${bothMs} ms`);
});

test("a broker that stops is left before it ends, and nothing is lost or comes twice", {
  skip,
}, async (t) => {
  const bothMs = await shortest(2_000, async () => {
    const stage = await startAll(t);
    const { program } = stage.first;
    program.child.kill("SIGTERM");
    const { agentMs, memberMs } = await moves(stage);
    t.comment(`agent after ${agentMs} ms, member after ${memberMs} ms`);
    t.equal((await program.exited).code, 0);
    t.notOk(
      stage.agent.lines.some(({ event }) => event === "disconnected"),
      "the agent was not cut off",
    );
    const left = said(stage.member).find(({ event }) => event === "disconnected");
    t.equal(left?.reason, "the broker is leaving", "nor was the member");
    t.equal(await repeatsInTheEnd(stage), 0, `longest pause ${longestPauseMs(stage.member)} ms`);
    await endAll(stage);
    return Math.max(agentMs, memberMs);
  });
  t.ok(bothMs < 2_000, `both after ${bothMs} ms`);
});

test("a broker that refuses is passed over within a second", { skip }, async (t) => {
  const { a, b } = await startTwo(t);
  await a.program.stop();
  const memberMs = await shortest(1_000, async () => {
    const member = startProgram(t, "consume", [
      ...["--broker", a.url, "--broker", b.url, "--pool", "p", "--client-id", "member", "--format", "json"],
    ]);
    await until(() => said(member).some(({ event }) => event === "unreachable"));
    const joinedMs = await elapsed(() => joined(member)[0] === b.url);
    await member.stop();
    return joinedMs;
  });
  t.ok(memberMs < 1_000, `after ${memberMs} ms`);
});

test("a broker that has gone silent is left within 1.5 times the keepalive", { skip }, async (t) => {
  const { a, b } = await startTwo(t);
  const keepaliveS = 3;
  const memberMs = await shortest(1_500 * keepaliveS, async () => {
    const brokers: string[] = [];
    const consumer = joinPool({
      ...{ broker: [a.url, b.url], pool: "p", filter: "ticks/#", keepaliveS },
      handler: () => {},
      onEvent: (event) => event.event === "joined" && brokers.push(event.broker),
    });
    t.teardown(() => consumer.stop());
    await consumer.start();
    a.program.child.kill("SIGSTOP");
    const movedMs = await elapsed(() => brokers[1] === b.url);
    a.program.child.kill("SIGCONT");
    await consumer.stop();
    // A broker that was silent for a while before has used up some of the time.
    t.ok(movedMs > 1_000, "not before its time");
    return movedMs;
  });
  t.ok(memberMs < 1_500 * keepaliveS, `after ${memberMs} ms`);
});
