import { test } from "tap";
import { declared, startBroker, type TestBroker } from "../support/broker.ts";
import { skipUnless } from "../support/debian.ts";
import { between } from "../support/random.ts";
import { startRedis } from "../support/redis.ts";
import { pause } from "../support/time.ts";
import { endLoad, Ledger, runPublisher, runReader, untilReached } from "./ledger.ts";

const skip = skipUnless("redis-server", "redis-server");
/** Some seconds in `npm test`; `npm run soak` asks for more. */
const chaosMs = Number(process.env.CLUSTER_CHAOS_MS ?? 20_000);
const share = "$share/p/ticks/#";
const ids = ["a", "b", "c"];

test(`brokers and Redis killed and stopped at random for ${chaosMs / 1_000} s: nothing acknowledged is lost`, {
  skip,
  timeout: chaosMs + 120_000,
}, async (t) => {
  let redis = await startRedis(t);
  const { url, port: redisPort, directory } = redis;
  const start = (id: string, port?: number): Promise<TestBroker> => {
    const pools = declared({ maxDeliveries: 1_000 });
    const args = ["--durability", "cluster", "--redis", url, "--broker-id", id, ...pools];
    return startBroker(t, { args, ...(port === undefined ? {} : { port }) });
  };
  const brokers = await Promise.all(ids.map((id) => start(id)));
  const ledger = new Ledger();
  const readers = brokers.map(({ port }, at) =>
    runReader(t, ledger, { port, id: `member-${at}`, filter: share, reader: "pool", workMs: at }),
  );
  const plain = runReader(t, ledger, {
    ...{
      port: (brokers[0] as TestBroker).port,
      id: "plain",
      filter: "ticks/#",
      reader: "plain",
      clean: false,
    },
  });
  // The plain subscriber is promised what comes after its subscription is known to all brokers.
  await untilReached(t, ledger, "plain", brokers);
  const publishers = brokers.map(({ port }, at) =>
    runPublisher(t, ledger, { port, id: `publisher-${at}`, topic: `ticks/v/s/${at}`, rate: 400 }),
  );

  const restart = async (at: number): Promise<void> => {
    const { port, program } = brokers[at] as TestBroker;
    await program.stop("SIGKILL");
    brokers[at] = await start(ids[at] as string, port);
  };
  const faults: Record<string, (at: number) => Promise<void>> = {
    "kill -9 of a broker": restart,
    "a broker stopped": (at) => (brokers[at] as TestBroker).program.freeze(between(200, 3_000)),
    "kill -9 of Redis": async () => {
      await redis.program.stop("SIGKILL");
      await pause(between(0, 1_500));
      redis = await startRedis(t, { port: redisPort, directory });
    },
    "Redis stopped": () => redis.program.freeze(between(200, 2_000)),
  };
  const counts = new Map<string, number>();
  const endMs = performance.now() + chaosMs;
  while (performance.now() < endMs) {
    await pause(between(300, 1_500));
    const names = Object.keys(faults);
    const name = names[Math.floor(Math.random() * names.length)] as string;
    await faults[name]?.(Math.floor(Math.random() * ids.length));
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  await pause(1_000);
  t.comment(Array.from(counts, ([name, times]) => `${times} × ${name}`).join(", "));
  await endLoad(t, ledger, { publishers, readers: [...readers, plain] }, ["pool", "plain"]);
  t.ok(ledger.acknowledged.size > chaosMs / 10, "work went on between the faults");
});
