import { test } from "tap";
import { Questions } from "../../../broker/src/cluster/questions.ts";

test("an answer that is long in coming is no silence while bytes of it come", async (t) => {
  const questions = new Questions();
  t.equal(questions.silenceMs(0, 0), 0, "nothing was asked");
  const question = questions.begin(1_000);
  t.equal(questions.silenceMs(1_500, 0), 500);
  t.equal(questions.silenceMs(1_600, 10), 0);
  t.equal(questions.silenceMs(1_900, 10), 300);
  t.equal(questions.silenceMs(2_000, 20), 0);
  questions.end(question);
  t.equal(questions.silenceMs(9_000, 20), 0);
});

test("an answer may take its time, and silence of one's own is forgiven", async (t) => {
  const questions = new Questions();
  questions.begin(0, 2_000);
  t.ok(questions.silenceMs(1_900, 0) < 0);
  t.equal(questions.silenceMs(2_500, 0), 500);
  questions.excuse(2_600);
  t.equal(questions.silenceMs(2_700, 0), 100);
  questions.forget();
  t.equal(questions.silenceMs(9_000, 0), 0);
});
