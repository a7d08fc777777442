/** The process of a member: joins a pool as an application does, serves its messages, tells when each was done. */
import { type Consumer, joinPool } from "@equipoise/shared/client";
import { answer } from "./answers.ts";
import { monotonicUs } from "./monotonic.ts";
import type { MemberQuestion, MemberReport } from "./questions.ts";
import { Service } from "./service.ts";

type Join = Extract<MemberQuestion, { ask: "join" }>;

/** Its argument: how long it takes for a message, in milliseconds. */
const service = new Service(Number(process.argv[2]));
let consumer: Consumer | undefined;
let numbers: number[] = [];
let intendedUs: number[] = [];
let completedUs: number[] = [];

async function join({ broker, clientId, pool, filter }: Join): Promise<void> {
  const joined: Consumer = joinPool({
    broker,
    clientId,
    pool,
    filter,
    handler: async (record) => {
      await service.serve(() => joined.stats.queued);
      if (record.type !== "trade") return;
      numbers.push(record.seq);
      intendedUs.push(record.exchangeTimeUs);
      completedUs.push(monotonicUs());
    },
  });
  consumer = joined;
  await joined.start();
}

function report(): MemberReport {
  const lists = {
    numbers: Uint32Array.from(numbers),
    intendedUs: Float64Array.from(intendedUs),
    completedUs: Float64Array.from(completedUs),
  };
  numbers = [];
  intendedUs = [];
  completedUs = [];
  return lists;
}

answer<MemberQuestion>(async (question) => {
  switch (question.ask) {
    case "join":
      return join(question);
    case "leave":
      return consumer?.stop();
    case "report":
      return report();
  }
});
