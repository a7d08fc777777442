import fc from "fast-check";
import { test } from "tap";
import type { Backlog } from "../../broker/src/pool/backlog.ts";
import { matches } from "../../broker/src/router/match.ts";
import { Router, Target } from "../../broker/src/router/router.ts";

const queue = (name: string): Backlog => ({ name, queue: undefined }) as unknown as Backlog;

const cases: [filter: string, topic: string, matched: boolean][] = [
  ["a/b", "a/b", true],
  ["a/+", "a/b", true],
  ["a/+", "a", false],
  ["a/+", "a/", true],
  ["a/#", "a", true],
  ["a/#", "a/b/c", true],
  ["+/+", "/x", true],
  ["/+", "/x", true],
  ["+", "/x", false],
  ["#", "a//b", true],
  ["k/+/b", "k//b", true],
  ["#", "$SYS/x", false],
  ["+/x", "$SYS/x", false],
  ["$SYS/#", "$SYS/x", true],
  ["a/b", "a/B", false],
];

test("filters match topics as MQTT 4.7 says, in the router and in the single matcher", async (t) => {
  for (const [filter, topic, matched] of cases) {
    const router = new Router();
    router.add(filter, new Target(queue("q"), 1));
    t.equal(router.match(topic).targets.length === 1, matched, `${filter} and ${topic}`);
    t.equal(matches(filter, topic), matched, `${filter} and ${topic}, alone`);
  }
});

test("a queue gets a message once, at the highest QoS of its matching subscriptions [MQTT-3.3.5-1]", async (t) => {
  const router = new Router();
  const one = queue("one");
  router.add("a/#", new Target(one, 0));
  router.add("a/b", new Target(one, 2));
  router.add("+/b", new Target(queue("two"), 1));
  const { targets } = router.match("a/b");
  t.same(targets.map(({ qosCap }) => qosCap).sort(), [1, 2]);
});

test("after any adds and removes the router finds what a plain list of filters finds", async (t) => {
  const level = fc.constantFrom("a", "b", "", "+");
  const filter = fc
    .tuple(fc.array(level, { minLength: 1, maxLength: 4 }), fc.boolean())
    .map(([levels, rest]) => [...levels, ...(rest ? ["#"] : [])].join("/"))
    .filter((text) => text !== "");
  const topic = fc
    .array(fc.constantFrom("a", "b", ""), { minLength: 1, maxLength: 5 })
    .map((levels) => levels.join("/"));
  const steps = fc.array(fc.record({ filter, remove: fc.boolean() }), { maxLength: 30 });
  const property = fc.property(steps, topic, (changes, name) => {
    const router = new Router();
    const present = new Map<string, Target>();
    for (const { filter: text, remove } of changes) {
      const old = present.get(text);
      if (remove && old !== undefined) {
        router.remove(text, old);
        present.delete(text);
      } else if (!remove && old === undefined) {
        const target = new Target(queue(text), 1);
        router.add(text, target);
        present.set(text, target);
      }
      // Looked up between changes, so that a stale cache would show.
      router.topicAt(Buffer.from(`${name}x`), 0, name.length);
    }
    const found = router.topicAt(Buffer.from(name), 0, Buffer.byteLength(name)).route.targets.length;
    return found === [...present.keys()].filter((text) => matches(text, name)).length;
  });
  fc.assert(property, { numRuns: 500 });
  t.pass("500 histories");
});

test("a topic that is not UTF-8 or has U+0000 has a fault", async (t) => {
  const router = new Router();
  t.match(router.topicAt(Buffer.from([0xc3, 0x28]), 0, 2).fault, /UTF-8/);
  t.match(router.topicAt(Buffer.from("a\u0000b"), 0, 3).fault, /U\+0000/);
  t.equal(
    router.topicAt(Buffer.from("\ufeffa"), 0, 4).name,
    "\ufeffa",
    "a byte order mark is part of the name",
  );
});
