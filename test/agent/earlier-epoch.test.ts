import { test } from "tap";
import { damageTables } from "./buffer-support.ts";
import { feed, startAsked, startLedger } from "./requests-support.ts";
import { counting, startAgent, until } from "./support.ts";

test("what a reader missed of an epoch that ended with a damaged buffer comes from what was set aside", async (t) => {
  const { broker, agent, watcher, dataDir } = await startAsked(t, 0);
  const { records, gaps, cutOff } = await startLedger(t, broker);
  feed(agent, 1, 3);
  await until(() => records.length === 3);
  const letBack = cutOff();
  feed(agent, 4, 5);
  for (const _ of counting(1, 5)) await watcher.receive();
  const { epoch } = await agent.event("ready");
  await agent.stop();
  damageTables(dataDir, "lost");
  const next = startAgent(t, dataDir, broker.url, "--source", "stdin:");
  await next.event("bufferSetAside");
  await watcher.receive();
  await letBack();
  feed(next, 6, 6);
  await until(() => records.length >= 7);
  const seen = records.map((record) => (record.type === "gap" ? `after ${record.ofEpoch}` : record.seq));
  t.same(seen, [1, 2, 3, 4, 5, `after ${epoch}`, 2]);
  t.same(gaps, []);
});
