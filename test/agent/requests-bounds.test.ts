import { setImmediate as turn } from "node:timers/promises";
import { test } from "tap";
import type { Method } from "../../agent/src/requests/method.ts";
import { Requests } from "../../agent/src/requests/requests.ts";
import { counting, FakeClock, recordedLog } from "./support.ts";

/** Requests with a method `slow` that ends when it is told to, and the answers as `id` or `id code`. */
function startRequests() {
  const clock = new FakeClock();
  const answers: string[] = [];
  const ends: (() => void)[] = [];
  const slow: Method = async function* () {
    await new Promise<void>((resolve) => ends.push(resolve));
    yield {};
  };
  let handler = (_topic: string, _payload: Buffer): void => {};
  const requests = new Requests({
    agentId: "pi-7",
    channel: {
      subscribe: (_, handle) => {
        handler = handle;
      },
      send: async (_, payload) => {
        const { requestId, error } = JSON.parse(payload);
        answers.push(error === undefined ? requestId : `${requestId} ${error.code}`);
      },
    },
    methods: new Map([["slow", slow]]),
    maxPerSecond: 1_000,
    clock,
    logger: recordedLog().logger,
    failed: (error) => {
      throw error;
    },
  });
  requests.start();
  const ask = (...ids: number[]): void => {
    for (const id of ids) {
      const body = JSON.stringify({ requestId: String(id), replyTo: "replies/desk/x" });
      handler("agents/pi-7/requests/slow", Buffer.from(body));
    }
  };
  return { clock, answers, ends, ask, requests };
}

test("four requests are answered at once, 64 wait, and more are refused", async (t) => {
  const { answers, ends, ask } = startRequests();
  ask(...counting(1, 70));
  await turn();
  t.equal(ends.length, 4);
  t.same(answers, ["69 EQ_LIMIT_REACHED", "70 EQ_LIMIT_REACHED"]);
});

test("a request that has waited too long is refused instead of answered to nobody", async (t) => {
  const { clock, answers, ends, ask, requests } = startRequests();
  ask(...counting(1, 6));
  clock.advance(4_000);
  ask(7);
  clock.advance(1_001);
  for (const end of ends.splice(0)) end();
  await turn();
  t.same(answers.toSorted(), ["1", "2", "3", "4", "5 EQ_LIMIT_REACHED", "6 EQ_LIMIT_REACHED"]);
  for (const end of ends.splice(0)) end();
  await turn();
  t.equal(answers.at(-1), "7");
  await requests.idle();
  t.same(requests.stats(), { answered: 5, refused: 2 });
});
