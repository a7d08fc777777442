import fc from "fast-check";
import { test } from "tap";
import { covers } from "../../broker/src/router/cover.ts";
import { matches } from "../../broker/src/router/match.ts";

const names = ["a", "b", "", "$x"];
const level = fc.constantFrom("+", ...names);
/** `z` stands for every name that no filter mentions, `$z` for every such name that begins with `$`. */
const topicNames = [...names, "z", "$z"];
const maxFilterLevels = 3;

const filters = fc
  .tuple(
    fc.array(level, { minLength: 0, maxLength: maxFilterLevels - 1 }),
    fc.constantFrom("#", "+", ...names),
  )
  .map(([front, last]) => [...front, last].join("/"))
  .filter((filter) => filter !== "");

/** One level more than any filter has: beyond that, only `#` can match. */
const everyTopic = topicsOf(maxFilterLevels + 1).filter((topic) => topic !== "");

function topicsOf(maxLevels: number): string[] {
  let longest = topicNames;
  const all = [...longest];
  for (let count = 1; count < maxLevels; count++) {
    longest = longest.flatMap((front) => topicNames.map((name) => `${front}/${name}`));
    all.push(...longest);
  }
  return all;
}

test("a filter covers another exactly when it matches every topic that the other matches", async (t) => {
  const yes = { true: 0, false: 0 };
  fc.assert(
    fc.property(filters, filters, (allowed, wanted) => {
      const expected = everyTopic.every((topic) => !matches(wanted, topic) || matches(allowed, topic));
      yes[`${expected}`]++;
      return covers(allowed, wanted) === expected;
    }),
    { numRuns: 3_000 },
  );
  t.ok(yes.true > 50 && yes.false > 50, `both answers were tried: ${JSON.stringify(yes)}`);
});

test("a filter covers itself, and # covers whatever does not begin with $", async (t) => {
  fc.assert(fc.property(filters, (filter) => covers(filter, filter)));
  fc.assert(fc.property(filters, (filter) => covers("#", filter) === !filter.startsWith("$")));
  t.pass("for all of them");
});

test("matching as a topic is not enough: wildcards in what is wanted are not covered by plain levels", async (t) => {
  t.notOk(covers("ticks/binance/+/+", "ticks/+/BTCUSDT/+"));
  t.notOk(covers("ticks/+/+/+", "ticks/#"));
  t.notOk(covers("last/a", "last/+"));
  t.notOk(covers("#", "$SYS/#"));
  t.ok(covers("ticks/#", "ticks/+/BTCUSDT/+"));
  t.ok(covers("ticks/#", "ticks"), "the parent level too");
  t.ok(covers("+/+/#", "/#"), "there is no empty topic");
});
