/** Requests over MQTT against a real agent and a real broker. */
import { join } from "node:path";
import { systemClock, type Trade } from "@equipoise/shared";
import { test } from "tap";
import { AgentRequests } from "../../shared/src/client/agent-requests.ts";
import { writeUsers } from "../broker/auth-fixtures.ts";
import { startBroker, temporaryDirectory } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import { answerMs, feed, startAsked, startLedger, stream, untilAnswered } from "./requests-support.ts";
import { counting, startAgent, until } from "./support.ts";

const seqs = (records: readonly { seq: number }[]): number[] => records.map(({ seq }) => seq);

test("to an agent that has five acknowledged ticks", async (t) => {
  const { broker, agent, ask } = await startAsked(t, 5);
  await t.test("an agent answers latest, range by sequence and by time, stats and ping", async (t) => {
    t.match((await ask("latest", stream)).records, [{ type: "trade", seq: 5, tradeId: "5" }]);
    t.same((await ask("latest", { venue: "kraken", symbol: "X" })).records, []);
    const some = await ask("range", { ...stream, fromSeq: 2, toSeq: 4 });
    t.same(seqs(some.records), [2, 3, 4]);
    t.match(some.outcome, { count: 3, nextSeq: null });
    const limited = await ask("range", { ...stream, limit: 2 });
    t.same([seqs(limited.records), limited.outcome.nextSeq], [[1, 2], 3]);
    const { receivedTimeUs } = some.records[1] as Trade;
    const fromTime = await ask("range", { ...stream, fromTimeUs: receivedTimeUs });
    t.ok(seqs(fromTime.records).includes(5) && !seqs(fromTime.records).includes(2));
    t.match((await ask("stats")).outcome, {
      stats: { state: "up", agent: "pi-7", uplink: { acknowledged: 5 } },
    });
    t.type((await ask("ping")).outcome.timeMs, "number");
  });
  await t.test(
    "resend brings what is there and names what is not; of an epoch that never was there is nothing",
    async (t) => {
      const [{ epoch }] = (await ask("latest", stream)).records as [Trade];
      const answer = await ask("resend", { ...stream, epoch, fromSeq: 4, toSeq: 8 });
      t.same(seqs(answer.records), [4, 5]);
      t.match(answer.outcome, { missing: [[6, 8]], nextSeq: null });
      const other = await ask("resend", { ...stream, epoch: "00", fromSeq: 1, toSeq: 3 });
      t.same([other.records, other.outcome.missing], [[], [[1, 3]]]);
    },
  );
  await t.test(
    "a request without a way to answer, or with one outside replies/, is dropped and does no harm",
    async (t) => {
      const stranger = await MqttClient.connect(t, broker.port, "stranger");
      const bodies = ["{", "[]", '{"requestId":"1"}', '{"requestId":"1","replyTo":"ticks/a/b/pi-7"}'];
      for (const body of bodies) await stranger.publish("agents/pi-7/requests/ping", body);
      t.type((await ask("ping")).outcome.timeMs, "number");
      t.notOk(agent.lines.some(({ event }) => event === "disconnected"));
    },
  );
});

test("an answer of many records comes in parts, in order, and never into the stream", async (t) => {
  const { ask, watcher } = await startAsked(t, 3_000);
  const { records, outcome } = await ask("range", { ...stream, limit: 3_000 });
  t.same(seqs(records), counting(1, 3_000));
  t.equal(outcome.part, undefined);
  t.same(await watcher.settle(), [], "subscribers of the stream hear nothing of it");
});

test("errors are coded: an unknown method, a bad field, one that is not allowed", async (t) => {
  const { broker, ask, requests } = await startAsked(t, 0, "--requests-allow", "latest,ping");
  await untilAnswered(requests, broker.url);
  const code = "EQ_REQUEST_UNANSWERED";
  await t.rejects(ask("dance"), {
    code,
    message: /EQ_REQUEST_INVALID: there is no dance here, only latest, ping/,
  });
  await t.rejects(ask("latest", { venue: 7 }), { code, message: /EQ_REQUEST_INVALID.*venue/ });
  await t.rejects(ask("config", { venue: "binance", add: ["X"] }), { code, message: /EQ_REQUEST_INVALID/ });
});

test("what is wrong with a request is said in one line that names the field and what it must be", async (t) => {
  const { ask } = await startAsked(t, 3);
  const faults: [method: string, fields: object, message: RegExp][] = [
    ["resend", { fromSeq: 1, toSeq: 2 }, /epoch is missing: must be text$/],
    ["range", { fromSeq: 0 }, /fromSeq is 0: must be at least 1$/],
    ["range", { limit: "many" }, /limit is "many": must be a number$/],
    ["range", { fromSeq: 3, toSeq: 2 }, /fromSeq must not be behind toSeq$/],
    ["range", { fromTimeUs: 3, toTimeUs: 2 }, /fromTimeUs must not be behind toTimeUs$/],
    ["range", { epoch: "00" }, /nothing of this stream is kept of the epoch 00; the present one is \w+$/],
  ];
  for (const [method, fields, message] of faults) {
    const error = await ask(method, { ...stream, ...fields }).catch((reason: unknown) => reason);
    t.match(error, { code: "EQ_REQUEST_UNANSWERED", message: /EQ_REQUEST_INVALID: [^\n✖]+$/ });
    t.match(error, { message });
  }
});

test("an answer of records has the field also when there are none", async (t) => {
  const { broker, watcher } = await startAsked(t, 1);
  const asker = await MqttClient.connect(t, broker.port, "desk");
  await asker.subscribe("replies/desk/#");
  const request = { requestId: "1", replyTo: "replies/desk/x", venue: "binance", symbol: "X", epoch: "00" };
  for (const method of ["latest", "resend"]) {
    const body = JSON.stringify({ ...request, fromSeq: 1, toSeq: 2 });
    await asker.publish(`agents/pi-7/requests/${method}`, body);
    t.match(JSON.parse(await asker.receive()), { last: true, records: [] });
  }
  const { epoch: _, ...ranged } = request;
  await asker.publish("agents/pi-7/requests/range", JSON.stringify(ranged));
  t.match(JSON.parse(await asker.receive()), { last: true, count: 0, records: [] });
  t.same(await watcher.settle(), []);
});

test("a flood of requests is refused beyond the rate, and the agent goes on answering", async (t) => {
  const { ask } = await startAsked(t, 1, "--requests-max-per-second", "5");
  const outcomes = await Promise.allSettled(counting(1, 12).map(() => ask("ping")));
  const refused = outcomes.filter((outcome) => outcome.status === "rejected");
  t.ok(refused.length >= 1 && refused.length <= 7, `${refused.length} refused`);
  for (const { reason } of refused) t.match(reason, { code: "EQ_LIMIT_REACHED" });
  await until(async () => (await ask("latest", stream).catch(() => undefined))?.records.length === 1);
});

test("an exclusive consumer that was away gets what it missed from the agent, in order, and reports no hole", async (t) => {
  const { broker, agent, watcher } = await startAsked(t, 0);
  const { records, gaps, events, cutOff } = await startLedger(t, broker);
  feed(agent, 1, 1);
  await until(() => records.length === 1);
  const letBack = cutOff();
  feed(agent, 2, 8);
  for (const _ of counting(1, 8)) await watcher.receive();
  await letBack();
  feed(agent, 9, 9);
  await until(() => seqs(records).includes(9));
  t.same(seqs(records), counting(1, 9));
  t.same(gaps, []);
  t.ok(events.includes("resent"));
});

test("with a users file the ready roles are enough to ask and to answer, and not to change anything", async (t) => {
  const usersFile = join(await temporaryDirectory(t), "users.yaml");
  const users = "[{ name: pi-7, hash: HASH, role: agent }, { name: desk, hash: HASH, role: application }]";
  await writeUsers(usersFile, `users: ${users}`);
  const broker = await startBroker(t, { args: ["--durability", "memory", "--users-file", usersFile] });
  const credentials = ["--uplink-username", "pi-7", "--uplink-password", "secret"];
  const agent = startAgent(t, await temporaryDirectory(t), broker.url, "--source", "stdin:", ...credentials);
  await agent.event("connected");
  const connection = { clientId: "desk-1", clean: true, keepaliveS: 30, clock: systemClock };
  const requests = new AgentRequests({ ...connection, username: "desk", password: "secret" });
  t.teardown(() => requests.stop());
  const ask = (method: string, body: object) => requests.ask(broker.url, "pi-7", method, body, answerMs);
  await untilAnswered(requests, broker.url);
  // MQTT 3.1.1 has no refusal of a PUBLISH but the end of the connection.
  const change = ask("config", { venue: "binance", add: ["BTCUSDT"] });
  await t.rejects(change, { code: "EQ_BROKER_UNREACHABLE", message: /pi-7|connection/ });
  t.match((await ask("stats", {})).outcome, { stats: { sources: [{ spec: "stdin:" }] } });
});
