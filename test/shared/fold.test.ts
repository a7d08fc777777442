import { folded } from "@equipoise/shared";
import fc from "fast-check";
import { test } from "tap";
import { foldedHelp } from "../../shared/src/command/fold.ts";

test("folded lines fit, hang under their column, and lose nothing", async (t) => {
  const words = fc.array(fc.string({ minLength: 1, maxLength: 9, unit: fc.constantFrom("a", "é", "-") }));
  fc.assert(
    fc.property(words, fc.integer({ min: 20, max: 80 }), (parts, columns) => {
      const line = `  name    ${parts.join(" ")}`;
      const lines = folded(line, 10, columns);
      t.ok(lines.every(({ length }) => length <= columns));
      t.ok(lines.slice(1).every((next) => /^ {10}\S/.test(next)));
      t.equal([lines[0], ...lines.slice(1).map((next) => next.trimStart())].join(" "), line);
    }),
  );
  t.same(folded(`x ${"y".repeat(100)} z`, 2, 80), [`x ${"y".repeat(100)}`, "  z"], "a long word stays whole");
});

test("in a help text what stands beside a flag stays in its column", async (t) => {
  t.equal(
    foldedHelp("name: what it does for those\n\n  --flag NAME   says who is to be asked\n", 24),
    "name: what it does for\nthose\n\n  --flag NAME   says who\n                is to be\n                asked\n",
  );
});
