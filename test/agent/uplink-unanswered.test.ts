import { test } from "tap";
import { overtakenMs } from "../../agent/src/uplink/unanswered.ts";
import type { Teardown } from "../support/teardown.ts";
import { type ReceivingBroker, startReceivingBroker } from "./receiving-broker.ts";
import { FakeClock, until } from "./support.ts";
import { startUplink, Ticks } from "./uplink-support.ts";

const ackTimeoutMs = 60_000;

async function startDeaf(t: Teardown, ticks: number) {
  const brokers = [await startReceivingBroker(t), await startReceivingBroker(t)];
  const [deaf, other] = brokers as [ReceivingBroker, ReceivingBroker];
  deaf.acknowledges = false;
  const clock = new FakeClock();
  const queue = new Ticks(ticks);
  const urls = brokers.map(({ url }) => url);
  // This randomness leaves the order as it is written.
  const started = startUplink(t, urls, queue, { clock, ackTimeoutMs, random: () => 0.99 });
  await until(() => deaf.ticks.length === Math.min(10, ticks));
  return { deaf, other, clock, queue, ...started };
}

test("a message that later ones have overtaken is sent to another broker, with all that waits behind it", async (t) => {
  const { deaf, other, clock, queue, uplink, lines } = await startDeaf(t, 1_000);
  const [, ...later] = deaf.ticks;
  for (const packet of later) deaf.connections[0]?.acknowledge(packet);
  await until(() => uplink.stats().acknowledged === later.length);
  clock.advance(overtakenMs - 1);
  t.equal(other.connections.length, 0, "not before its time");
  clock.advance(1_000);
  clock.advance(1_000);
  await uplink.drained();
  t.equal(queue.settled, 1_000);
  t.equal(uplink.stats().repeated, 1);
  t.match(
    lines.filter(({ event }) => event === "disconnected"),
    [{ code: "EQ_ACKS_MISSING", reason: /later ones were/ }],
  );
  t.equal(other.ticks.length, 1_000 - later.length);
});

test("a broker that withholds every PUBACK is left only when it has acknowledged nothing for ackTimeoutMs", async (t) => {
  const { deaf, other, clock, queue, uplink, lines } = await startDeaf(t, 12);
  clock.advance(ackTimeoutMs - 1_000);
  const [first] = deaf.ticks;
  if (first === undefined) throw new Error("unreachable");
  deaf.connections[0]?.acknowledge(first);
  await until(() => uplink.stats().acknowledged === 1);
  clock.advance(ackTimeoutMs - 1_000);
  t.ok(uplink.stats().connected, "one PUBACK is progress");
  clock.advance(1_000);
  clock.advance(1_000);
  await uplink.drained();
  t.equal(queue.settled, 12);
  t.equal(other.ticks.length, 11);
  t.match(
    lines.filter(({ event }) => event === "disconnected"),
    [{ code: "EQ_ACKS_MISSING", reason: `nothing was acknowledged for ${ackTimeoutMs} ms` }],
  );
});

test("with nothing in flight a broker that says nothing is waited for without end", async (t) => {
  const { deaf, clock, uplink } = await startDeaf(t, 1);
  const [only] = deaf.ticks;
  if (only === undefined) throw new Error("unreachable");
  deaf.connections[0]?.acknowledge(only);
  await uplink.drained();
  clock.advance(10 * ackTimeoutMs);
  t.equal(uplink.stats().connected, true);
  t.equal(deaf.connections.length, 1);
});
