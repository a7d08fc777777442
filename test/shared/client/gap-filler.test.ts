import { EquipoiseError } from "@equipoise/shared";
import { test } from "tap";
import type { AgentAnswer } from "../../../shared/src/client/agent-requests.ts";
import { GapFiller } from "../../../shared/src/client/gap-filler.ts";
import type { MissingTicks } from "../../../shared/src/client/missing.ts";
import { FakeClock } from "../../agent/support.ts";
import { gap, topic, trade } from "./fixtures.ts";

const hole = (fromSeq: number, toSeq: number): MissingTicks => ({
  topic,
  epoch: "01J",
  reason: "hole",
  count: toSeq - fromSeq + 1,
  fromSeq,
  toSeq,
});

/** What comes in place of a hole, as text. */
async function filled(filler: GapFiller, missing: MissingTicks): Promise<string[]> {
  const items: string[] = [];
  for await (const item of filler.fill(missing)) {
    items.push("type" in item ? `${item.seq}` : `${item.count} missing: ${item.fromSeq} to ${item.toSeq}`);
  }
  return items;
}

function fillerWith(ask: (body: { fromSeq: number }) => AgentAnswer, clock = new FakeClock()) {
  const events: string[] = [];
  const filler = new GapFiller({
    ask: async (_, body) => ask(body as { fromSeq: number }),
    clock,
    onEvent: ({ event }) => void events.push(event),
  });
  return { filler, events, clock };
}

test("what the agent has comes in order, and between it what stays missing", async (t) => {
  const records = [3, 4, 7].map((seq) => trade(seq));
  const { filler } = fillerWith(() => ({ records, outcome: { nextSeq: null } }));
  t.same(await filled(filler, hole(2, 8)), [
    "1 missing: 2 to 2",
    "3",
    "4",
    "2 missing: 5 to 6",
    "7",
    "1 missing: 8 to 8",
  ]);
});

test("records of another epoch, out of the hole or twice are no filling", async (t) => {
  const records = [trade(1), trade(3, { epoch: "01K" }), trade(4), trade(4), trade(9)];
  const { filler } = fillerWith(() => ({ records, outcome: {} }));
  t.same(await filled(filler, hole(3, 5)), ["1 missing: 3 to 3", "4", "1 missing: 5 to 5"]);
});

test("a long hole is fetched piece by piece, and only forwards", async (t) => {
  const asked: number[] = [];
  const { filler } = fillerWith(({ fromSeq }) => {
    asked.push(fromSeq);
    return { records: [trade(fromSeq)], outcome: { nextSeq: fromSeq === 1 ? 2 : 1 } };
  });
  t.same(await filled(filler, hole(1, 2)), ["1", "2"]);
  t.same(asked, [1, 2]);
});

test("an agent that does not answer is left alone for a minute, and its holes are reported", async (t) => {
  let asked = 0;
  const { filler, events, clock } = fillerWith(() => {
    asked += 1;
    throw new EquipoiseError("EQ_REQUEST_UNANSWERED", "pi-7: no answer in time");
  });
  t.same(await filled(filler, hole(1, 2)), ["2 missing: 1 to 2"]);
  t.same(await filled(filler, hole(5, 5)), ["1 missing: 5 to 5"]);
  t.same([asked, events], [1, ["resendFailed"]]);
  clock.advance(60_000);
  await filled(filler, hole(7, 7));
  t.equal(asked, 2);
});

for (const code of ["EQ_LIMIT_REACHED", "EQ_BROKER_UNREACHABLE"] as const) {
  test(`after ${code} an agent is asked again, not left alone`, async (t) => {
    let asked = 0;
    const clock = new FakeClock();
    const { filler, events } = fillerWith(() => {
      asked += 1;
      clock.advance(0);
      if (asked < 3) setImmediate(() => clock.advance(1_000));
      if (asked < 3) throw new EquipoiseError(code, "pi-7: for now");
      return { records: [trade(1)], outcome: {} };
    }, clock);
    t.same(await filled(filler, hole(1, 2)), ["1", "1 missing: 2 to 2"]);
    t.same([asked, events], [3, ["resent"]]);
  });
}

test("what stays missing has the reason of the gap record that comes with the answer", async (t) => {
  const records = [trade(2), gap(7, { count: 3, fromSeq: 3, toSeq: 5 })];
  const { filler } = fillerWith(() => ({ records, outcome: {} }));
  const reasons: unknown[] = [];
  for await (const item of filler.fill(hole(1, 8)))
    reasons.push("type" in item ? item.seq : [item.reason, item.fromSeq, item.toSeq]);
  t.same(reasons, [["hole", 1, 1], 2, ["evicted", 3, 5], ["hole", 6, 6], 7, ["hole", 8, 8]]);
});

test("of an earlier epoch the agent is asked, and what it lacks stays as uncertain as it was", async (t) => {
  const record = gap(1, { epoch: "01K", reason: "corrupt", ofEpoch: "01J", toSeq: 9 });
  const { filler } = fillerWith(() => ({ records: [trade(4)], outcome: {} }));
  const items: unknown[] = [];
  for await (const item of filler.fill({ ...hole(3, 9), reason: "corrupt", count: null, record }))
    items.push("type" in item ? item.seq : [item.reason, item.epoch, item.count, item.fromSeq, item.toSeq]);
  t.same(items, [["corrupt", "01J", null, 3, 3], 4, ["corrupt", "01J", null, 5, 9]]);
});

test("what only a damaged database held is asked for: it was set aside and may still have some", async (t) => {
  const record = gap(9, { reason: "corrupt", toSeq: 4 });
  const { filler } = fillerWith(() => ({ records: [trade(2), trade(3)], outcome: {} }));
  const items: unknown[] = [];
  for await (const item of filler.fill({ ...hole(2, 4), reason: "corrupt", count: null, record }))
    items.push("type" in item ? item.seq : [item.reason, item.count, item.fromSeq, item.toSeq]);
  t.same(items, [2, 3, ["corrupt", null, 4, 4]]);
});

test("what the agent itself has given up, and other people's topics, are not asked for", async (t) => {
  const { filler } = fillerWith(() => t.fail("asked") as never);
  t.same(await filled(filler, { ...hole(1, 2), reason: "evicted" }), ["2 missing: 1 to 2"]);
  t.same(await filled(filler, { ...hole(1, 2), topic: "elsewhere" }), ["2 missing: 1 to 2"]);
});
