import { test } from "tap";
import { Positions } from "../../agent/src/buffer/positions.ts";
import { seededRandom } from "../support/random.ts";

const end = 60;
const all = Array.from({ length: end }, (_, position) => position);

test("whatever is added in whatever order, the set says what is in it and what is not", (t) => {
  for (let seed = 1; seed <= 200; seed += 1) {
    const random = seededRandom(seed);
    const set = new Set([0]);
    const positions = new Positions();
    for (let round = 0; round < 30; round += 1) {
      const from = Math.floor(random() * end);
      const to = Math.min(end - 1, from + Math.floor(random() * 4));
      positions.add(from, to);
      for (const position of all.slice(from, to + 1)) set.add(position);
    }
    const wrong = all.filter((position) => positions.has(position) !== set.has(position));
    const missing = positions.missing(0, end - 1).flatMap(([from, to]) => all.slice(from, to + 1));
    if (wrong.length > 0 || positions.size !== set.size) t.fail(`seed ${seed}: ${wrong}`);
    if (`${missing}` !== `${all.filter((position) => !set.has(position))}`)
      t.fail(`seed ${seed}: ${missing}`);
    const isApart = positions.ranges.every(([from], index) => {
      const before = positions.ranges[index - 1];
      return before === undefined || before[1] + 1 < from;
    });
    if (!isApart) t.fail(`seed ${seed}: ranges that touch`);
  }
  t.pass("of all seeds");
  t.end();
});
