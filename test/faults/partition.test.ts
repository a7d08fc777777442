/** The ways between brokers and Redis break without a word: packets are dropped, nothing is closed. */
import { test } from "tap";
import { MqttClient } from "../support/mqtt-client.ts";
import { Network } from "../support/network.ts";
import type { Program } from "../support/program.ts";
import type { Teardown } from "../support/teardown.ts";
import { pause, shortest, until } from "../support/time.ts";
import { port, skip, startBroker, startCluster, startEngine } from "./cluster-network.ts";
import { endLoad, Ledger, type Load, runPublisher, runReader } from "./ledger.ts";

const share = "$share/p/ticks/#";

/** Publishers and members at two brokers. */
function startLoad(t: Teardown, ledger: Ledger, places: readonly { host: string; port: number }[]): Load {
  const readers = places.map((place, at) =>
    runReader(t, ledger, { ...place, id: `member-${at}`, filter: share, reader: "pool" }),
  );
  const publishers = places.map((place, at) =>
    runPublisher(t, ledger, { ...place, id: `publisher-${at}`, topic: `ticks/v/s/${at}`, rate: 200 }),
  );
  return { readers, publishers };
}

/** What a broker says of itself from now on. */
async function listen(t: Teardown, { host }: { host: string }, id: string): Promise<() => string> {
  const client = await MqttClient.connect(t, port, "watcher", { host });
  await client.subscribe(`heartbeat/brokers/${id}`, 0);
  let state = "";
  return () => {
    for (const { payload } of client.inbox.splice(0)) state = JSON.parse(payload.toString()).state;
    return state;
  };
}

const count = ({ lines }: Program, event: string): number =>
  lines.filter((line) => line.event === event).length;

test("a broker cut off from Redis says so within a second, keeps its connections, and goes on by itself", {
  skip,
}, async (t) => {
  const { network, a, b } = await startCluster(t);
  const stateOf = await listen(t, a, "a");
  const ledger = new Ledger();
  const load = startLoad(t, ledger, [a, b]);
  await until(() => ledger.acknowledged.size > 200 && stateOf() === "up");
  const cutOff = async (): Promise<number> => {
    ledger.forgetPauses();
    network.part("a", "redis");
    const degradedMs = await until(() => stateOf() === "degraded");
    const before = ledger.acknowledged.size;
    await pause(3_000);
    await until(() => ledger.acknowledged.size - before > 300);
    const pauseMs = Math.round(ledger.pausesMs.get("member-1") ?? 0);
    network.heal("a", "redis");
    const upMs = await until(() => stateOf() === "up");
    await pause(1_000);
    const words = `the other broker went on, its member waited for at most ${pauseMs} ms; up ${upMs} ms after the healing`;
    t.pass(`degraded after ${degradedMs} ms; ${words}`);
    return Math.max(degradedMs, pauseMs);
  };
  t.ok((await shortest(1_000, cutOff)) < 1_000);
  t.equal(count(a.program, "connection.closed"), 0, "nobody was cut off");
  await endLoad(t, ledger, load);
});

test("a primary cut off from its replica: nothing is acknowledged, everybody stays, and it goes on by itself", {
  skip,
}, async (t) => {
  const network = new Network(t);
  const redis = await startEngine(t, network, "redis");
  const replicaOf = ["--replicaof", network.address("redis"), "6379"];
  const replica = await startEngine(t, network, "replica", replicaOf);
  await replica.program.line(({ text }) => String(text).includes("Finished with success"));
  const a = await startBroker(t, network, "a", ["--redis", redis.url, "--cluster-min-replicas", "1"]);
  const stateOf = await listen(t, a, "a");
  const ledger = new Ledger();
  const load = startLoad(t, ledger, [a]);
  await until(() => ledger.acknowledged.size > 100 && stateOf() === "up");
  const cutOff = async (): Promise<number> => {
    network.part("redis", "replica");
    const degradedMs = await until(() => stateOf() === "degraded");
    const before = ledger.acknowledged.size;
    await pause(2_000);
    t.equal(ledger.acknowledged.size, before, "no PUBACK that only one has");
    network.heal("redis", "replica");
    const upMs = await until(() => stateOf() === "up");
    await until(() => ledger.acknowledged.size > before + 200);
    t.pass(`degraded after ${degradedMs} ms; up ${upMs} ms after the healing`);
    return degradedMs;
  };
  t.ok((await shortest(1_000, cutOff)) < 1_000);
  t.equal(count(a.program, "connection.closed"), 0, "nobody was cut off");
  await endLoad(t, ledger, load);
});
