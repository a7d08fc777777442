import { test } from "tap";
import { endLoad, Ledger, runPublisher, runReader } from "../../faults/ledger.ts";
import { declared, type TestBroker } from "../../support/broker.ts";
import { between } from "../../support/random.ts";
import { startRedis } from "../../support/redis.ts";
import { pause } from "../../support/time.ts";
import { share, skip, startMember } from "./brokers.ts";
import { overtakers } from "./ordered.ts";

/** Some seconds in `npm test`; `npm run soak` asks for more. */
const chaosMs = Number(process.env.ORDER_CHAOS_MS ?? 6_000);
const ids = ["a", "b", "c"];
const keys = 12;

test(`owners of keys killed and stopped at random for ${chaosMs / 1_000} s: first deliveries stay in order`, {
  skip,
  timeout: chaosMs + 90_000,
}, async (t) => {
  const redis = await startRedis(t);
  const { url } = redis;
  const args = declared({ ordering: "key", maxDeliveries: 1_000 });
  const start = (id: string, port?: number): Promise<TestBroker> =>
    startMember(t, url, id, { args, ...(port === undefined ? {} : { port }) });
  const brokers = await Promise.all(ids.map((id) => start(id)));
  const ledger = new Ledger();
  const readers = brokers.flatMap(({ port }, at) =>
    ["one", "two"].map((name, more) =>
      runReader(t, ledger, { port, id: `${name}-${at}`, filter: share, reader: "pool", workMs: at * more }),
    ),
  );
  const publishers = Array.from({ length: keys }, (_, key) => {
    const { port } = brokers[key % ids.length] as TestBroker;
    return runPublisher(t, ledger, { port, id: `k${key}`, topic: `ticks/v/s/${key}`, rate: 100 });
  });
  let faults = 0;
  const endMs = performance.now() + chaosMs;
  while (performance.now() < endMs) {
    await pause(between(500, 1_500));
    const at = Math.floor(Math.random() * ids.length);
    const { port, program } = brokers[at] as TestBroker;
    faults++;
    if (Math.random() < 0.4) {
      await program.stop("SIGKILL");
      brokers[at] = await start(ids[at] as string, port);
      continue;
    }
    await (Math.random() < 0.3 ? redis.program : program).freeze(between(300, 2_500));
  }
  await pause(500);
  await endLoad(t, ledger, { publishers, readers });
  t.comment(`${faults} faults`);
  // A map keeps the order in which its keys came first.
  t.same(overtakers(ledger.received.get("pool")?.keys() ?? []), [], "each key in order");
  t.ok(ledger.acknowledged.size > chaosMs / 10, "work went on between the faults");
});
