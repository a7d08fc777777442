/**
 * Brokers and the primary killed with -9 and stopped at random, one failure at a time, with Sentinel and every message on
 * replicas before its PUBACK: on all that there are, and on one of two, as deploy/cluster has it.
 */
import { type Test, test } from "tap";
import { declared, startBroker, type TestBroker } from "../support/broker.ts";
import { skipUnless } from "../support/debian.ts";
import { between } from "../support/random.ts";
import { cli, startRedis, startReplica, startSentinels, type TestRedis } from "../support/redis.ts";
import { pause, until } from "../support/time.ts";
import { endLoad, Ledger, runPublisher, runReader, type Span } from "./ledger.ts";

const skip = skipUnless("redis-server", "redis-server");
/** Seconds in `npm test`; `npm run soak` asks for five minutes. */
const chaosMs = Number(process.env.CLUSTER_CHAOS_MS ?? 8_000);
const ids = ["a", "b", "c"];

const one = <T>(of: readonly T[]): T => of[Math.floor(Math.random() * of.length)] as T;

/** Longest pauses by what had happened. */
class Pauses {
  readonly #longestMs = new Map<string, number>();

  note(kind: string, ms: number): void {
    this.#longestMs.set(kind, Math.max(Math.round(ms), this.#longestMs.get(kind) ?? 0));
  }

  get text(): string {
    return Array.from(this.#longestMs, ([kind, ms]) => `${kind} ${ms} ms`).join(", ");
  }
}

for (const replicas of [1, 2])
  test(
    `${chaosMs / 1_000} s of failovers and dead brokers, ${replicas} replicas: nothing acknowledged is lost`,
    {
      skip,
      timeout: chaosMs + 150_000,
    },
    (t) => chaos(t, replicas),
  );

async function chaos(t: Test, replicas: number): Promise<void> {
  const first = await startRedis(t);
  const servers = [first];
  while (servers.length <= replicas) servers.push(await startReplica(t, first));
  const { url, ports } = await startSentinels(t, first.port);
  const primary = (): TestRedis => {
    const sentinel = { port: ports[0] as number };
    const [, port] = cli(sentinel, "SENTINEL", "get-master-addr-by-name", "primary").split("\n");
    return servers.find((server) => server.port === Number(port)) as TestRedis;
  };
  const start = (id: string, port = 0): Promise<TestBroker> => {
    const pools = declared({ maxDeliveries: 1_000 });
    const engine = ["--durability", "cluster", "--redis", url, "--cluster-min-replicas", "1"];
    return startBroker(t, { args: [...engine, "--broker-id", id, ...pools], port });
  };
  const brokers = await Promise.all(ids.map((id) => start(id)));
  const ledger = new Ledger();
  const clients = brokers.map(({ port }, at) => {
    const others = brokers.filter((_, other) => other !== at);
    return { port, others };
  });
  const filter = "$share/p/ticks/#";
  const readers = clients.map((client, at) =>
    runReader(t, ledger, { ...client, id: `member-${at}`, filter, reader: "pool", workMs: at }),
  );
  const publishers = clients.map((client, at) =>
    runPublisher(t, ledger, { ...client, id: `publisher-${at}`, topic: `ticks/v/s/${at}`, rate: 150 }),
  );

  /** One replica of one is what everything waits for: it is told whom to follow, and Sentinel not waited for. */
  const restart = async ({ port, directory }: TestRedis): Promise<TestRedis> => {
    if (replicas > 1) return await startRedis(t, { port, directory });
    while (primary().port === port) await pause(100);
    return await startReplica(t, primary(), { port, directory });
  };
  const faults: Record<string, () => Promise<void>> = {
    "kill -9 of the primary": async () => {
      const killed = primary();
      await killed.program.stop("SIGKILL");
      await pause(between(0, 3_000));
      servers[servers.indexOf(killed)] = await restart(killed);
    },
    "kill -9 of a broker": async () => {
      const at = Math.floor(Math.random() * ids.length);
      const { port, program } = brokers[at] as TestBroker;
      await program.stop("SIGKILL");
      await pause(1_500);
      brokers[at] = await start(ids[at] as string, port);
    },
    "the primary stopped": () => primary().program.freeze(between(200, 4_000)),
    "a broker stopped": () => one(brokers).program.freeze(between(200, 3_000)),
  };
  /** All replicas have what is acknowledged again: the next failure is a single one. */
  const recovered = async (): Promise<void> => {
    const { size } = ledger.acknowledged;
    await until(() => ledger.acknowledged.size >= size + 200);
  };

  const counts = new Map<string, number>();
  const pauses = new Pauses();
  const spans: Record<"broker" | "primary", Span[]> = { broker: [], primary: [] };
  await recovered();
  const names = Object.keys(faults);
  const endMs = performance.now() + chaosMs;
  for (let round = 0; performance.now() < endMs; round++) {
    const name = round < names.length ? (names[round] as string) : one(names);
    ledger.forgetPauses();
    const fromMs = performance.now();
    await faults[name]?.();
    await recovered();
    await pause(between(300, 1_000));
    pauses.note(`${name}: members that stayed`, ledger.stayedPauseMs);
    for (const { awayMs = Number.POSITIVE_INFINITY } of ledger.cutOff.values())
      pauses.note(`${name}: members that moved, until they were back`, awayMs);
    spans[name.includes("primary") ? "primary" : "broker"].push({ fromMs, toMs: performance.now() });
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  await endLoad(t, ledger, { publishers, readers });
  t.comment(Array.from(counts, ([name, times]) => `${times} × ${name}`).join(", "));
  for (const [whose, times] of Object.entries(spans)) {
    if (times.length === 0) continue;
    const share = (100 * ledger.availability(times)).toFixed(1);
    t.comment(`${share} % of what was due around faults of a ${whose} completed within a second`);
  }
  t.comment(`longest pauses: ${pauses.text}`);
  t.ok(ledger.acknowledged.size > chaosMs / 20, "work went on between the faults");
}
