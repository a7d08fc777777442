/** The ways between clients and brokers break without a word: packets are dropped, nothing is closed. */
import { test } from "tap";
import { joinPool } from "../../shared/src/client/index.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { here, type Network } from "../support/network.ts";
import { type Line, type Program, startProgramBehind } from "../support/program.ts";
import type { Teardown } from "../support/teardown.ts";
import { pause, shortest, until } from "../support/time.ts";
import { skip, startCluster } from "./cluster-network.ts";

const keepaliveS = 3;
const boundMs = 1_500 * keepaliveS;
const sample = "deploy/demo/sample/spot_btcusdt_20240808.trades.txt.gz";

async function startAgent(t: Teardown, network: Network, urls: readonly string[]): Promise<Program> {
  network.host("agent");
  const agent = startProgramBehind(t, network.on("agent"), "agent", [
    ...["--agent-id", "agent", "--source", `file:${sample}?venue=binance&loop=true`, "--speed", "20"],
    ...["--broker", urls.join(","), "--data-dir", await temporaryDirectory(t)],
    ...["--uplink-keepalive-s", String(keepaliveS)],
  ]);
  await agent.event("connected");
  return agent;
}

/** Until everything that the agent has had acknowledged is among what members have handled. */
async function everything(agent: Program, handled: ReadonlySet<number>): Promise<number> {
  await agent.stop();
  const ended = agent.lines.findLast(({ event }) => event === "ended") as Line & { acknowledged: number };
  await until(() => handled.size >= ended.acknowledged);
  return ended.acknowledged;
}

test("members cut off from their broker are at another within 1.5 times their keepalive, and nothing is lost", {
  skip,
}, async (t) => {
  const { network, a, b } = await startCluster(t);
  const agent = await startAgent(t, network, [a.url, b.url]);
  const handled = new Set<number>();
  const places: string[] = [];

  for (const at of [0, 1]) {
    const consumer = joinPool({
      ...{ broker: [a.url, b.url], clientId: `member-${at}`, pool: "p", filter: "ticks/#", keepaliveS },
      handler: ({ seq }) => void handled.add(seq),
      onEvent: (event) => event.event === "joined" && places.push(event.broker),
    });
    await consumer.start();
    t.teardown(() => consumer.stop());
  }
  await until(() => handled.size > 50);
  let [from, to] = [
    { id: "a", url: a.url },
    { id: "b", url: b.url },
  ];
  const move = async (): Promise<number> => {
    places.length = 0;
    network.part(here, from.id);
    const movedMs = await until(() => places.filter((place) => place === to.url).length === 2);
    const before = handled.size;
    await until(() => handled.size > before + 50);
    network.heal(here, from.id);
    [from, to] = [to, from];
    return movedMs;
  };
  const movedMs = await shortest(boundMs, move);
  t.ok(movedMs < boundMs, `both after ${movedMs} ms`);
  t.pass(`all ${await everything(agent, handled)} acknowledged ticks came`);
});

test("an agent cut off from its broker goes to another within 1.5 times its keepalive, and from all it waits and goes on", {
  skip,
}, async (t) => {
  const { network, a, b } = await startCluster(t);
  const agent = await startAgent(t, network, [a.url, b.url]);
  const handled = new Set<number>();
  const consumer = joinPool({
    ...{ broker: [b.url], pool: "p", filter: "ticks/#" },
    handler: ({ seq }) => void handled.add(seq),
  });
  await consumer.start();
  t.teardown(() => consumer.stop());
  await until(() => handled.size > 50);
  const connected = (): unknown[] =>
    agent.lines.filter(({ event }) => event === "connected").map(({ broker }) => broker);
  const move = async (): Promise<number> => {
    const { length } = connected();
    const from = connected().at(-1) === a.url ? "a" : "b";
    network.part("agent", from);
    const movedMs = await until(() => connected().length > length);
    network.heal("agent", from);
    return movedMs;
  };
  const movedMs = await shortest(boundMs, move);
  t.ok(movedMs < boundMs, `after ${movedMs} ms`);
  for (const id of ["a", "b"]) network.part("agent", id);
  await pause(2_000);
  const before = handled.size;
  for (const id of ["a", "b"]) network.heal("agent", id);
  await until(() => handled.size > before + 100);
  t.pass(`all ${await everything(agent, handled)} acknowledged ticks came`);
});
