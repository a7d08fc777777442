import { decodeMemberHeartbeat } from "@equipoise/shared";
import { test } from "tap";

const decode = (text: string) => decodeMemberHeartbeat(Buffer.from(text));

test("a member's heartbeat needs its state alone; unknown fields are ignored", async (t) => {
  t.same(decode('{"state":"up"}'), { state: "up" });
  t.same(decode('{"state":"draining","queueDepth":12,"creditLimit":64,"mood":"good"}'), {
    state: "draining",
    queueDepth: 12,
    creditLimit: 64,
  });
});

test("what is not a heartbeat is nothing, never an exception", async (t) => {
  for (const bad of [
    "",
    "{",
    "null",
    "[]",
    '{"state":"happy"}',
    '{"state":"up","queueDepth":-1}',
    '{"state":"up","creditLimit":0}',
    '{"state":"up","creditLimit":70000}',
    '{"state":"up","cpu":"high"}',
    '{"state":"up","serviceTimeMs":1e999}',
  ]) {
    t.equal(decode(bad), undefined, bad);
  }
});
