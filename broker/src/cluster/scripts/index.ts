import { append } from "./append.ts";
import { disown, own } from "./clients.ts";
import { confirm, end, enter, epoch, restore, retain, want } from "./knowledge.ts";
import { beat, execute, leave } from "./liveness.ts";
import { open, registry, tend } from "./queues.ts";
import { attempt, settle } from "./settle.ts";
import { attemptOfShard, balance, bury, takeShards, yieldShard } from "./shards.ts";
import { claim, giveBack, take } from "./take.ts";

export const scripts = {
  registry,
  open,
  tend,
  append,
  settle,
  attempt,
  claim,
  take,
  giveBack,
  own,
  disown,
  beat,
  leave,
  execute,
  balance,
  takeShards,
  yieldShard,
  attemptOfShard,
  bury,
  retain,
  restore,
  want,
  confirm,
  end,
  enter,
  epoch,
} as const;
export type ScriptName = keyof typeof scripts;
