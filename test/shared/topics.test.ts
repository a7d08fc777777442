import { parseFilter, parseTopic, topics } from "@equipoise/shared";
import { test } from "tap";

test("a stream's topic round-trips identifiers that would break a level", async (t) => {
  const name = { venue: "binance", symbol: "A/B+C#%", agentId: "pi 7\u0001" };
  const topic = topics.ticks(name);
  t.equal(topic, "ticks/binance/A%2FB%2BC%23%25/pi 7%01");
  t.same(parseTopic(topic), { kind: "ticks", ...name });
});

test("$share splits into pool and filter, and refuses a pool without a filter", async (t) => {
  t.same(parseFilter("$share/pricing/ticks/#"), { pool: "pricing", filter: "ticks/#" });
  t.same(parseFilter("ticks/+"), { pool: undefined, filter: "ticks/+" });
  for (const bad of ["$share/pricing", "$share//ticks", "$share/p+/ticks", "a/#/b", "a+/b", ""]) {
    t.throws(() => parseFilter(bad), { code: "EQ_TOPIC_INVALID" }, bad);
  }
});
