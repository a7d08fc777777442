/** Ticks beside requests, answers and heartbeats on one connection, at full speed, at real brokers over every transport. */
import { readFileSync } from "node:fs";
import { type Test, test } from "tap";
import type { BufferedTick } from "../../agent/src/buffer/queue.ts";
import { makeCertificates } from "../broker/auth-fixtures.ts";
import { startBroker } from "../support/broker.ts";
import { skipUnless } from "../support/debian.ts";
import { startMosquitto } from "../support/mosquitto.ts";
import { type AnyPacket, MqttClient } from "../support/mqtt-client.ts";
import { freePort } from "../support/ports.ts";
import { seededRandom } from "../support/random.ts";
import { until } from "./support.ts";
import { startUplink, stream, Ticks } from "./uplink-support.ts";

type Teardown = { teardown(callback: () => unknown): unknown };

const ticks = 3_000;
const hello = "hello";

/** Mostly short, sometimes longer than a piece of memory, ASCII or not. */
function textOf(position: number, mark: string): string {
  const random = seededRandom(position);
  const size = random() < 0.01 ? 90_000 : Math.floor(random() * 400);
  return `${mark}${position}:${(random() < 0.2 ? "é" : "e").repeat(size)}`;
}

const tick = (position: number): BufferedTick => ({
  position,
  stream,
  payload: textOf(position, "t"),
  bufferedTimeMs: 5,
});

/** Everything that the reader gets from now on, acknowledged. */
function collect(reader: MqttClient): AnyPacket[] {
  const messages: AnyPacket[] = [];
  const take = async (): Promise<never> => {
    for (;;) {
      const message = await reader.next("publish");
      if (message.qos === 1) reader.puback(message.messageId);
      messages.push(message);
    }
  };
  take().catch(() => {}); // it ends with the reader
  return messages;
}

/** Publishes ticks and everything else at the same time, and looks at what a reader and the agent itself get. */
async function mix(t: Test, url: string, port: number, ca: Buffer | undefined): Promise<void> {
  const reader = await MqttClient.connect(t, port, "reader");
  await reader.subscribe("+/pi-7");
  await reader.subscribe(stream.topic);
  const messages = collect(reader);
  const got = (topic: string): string[] =>
    messages.filter((message) => message.topic === topic).map(({ payload }) => payload.toString());
  const queue = new Ticks(0, tick);
  const { uplink, lines, stop } = startUplink(t, [url], queue, {
    window: 1_000,
    tls: () => (ca === undefined ? {} : { ca }),
  });
  const requests: string[] = [];
  let subscribed = false;
  uplink.subscribe("requests/#", (topic, payload) => {
    if (topic !== "requests/pi-7") return;
    subscribed = true;
    if (payload.toString() !== hello) requests.push(payload.toString());
  });
  const asker = await MqttClient.connect(t, port, "asker");
  while (!subscribed) await asker.publish("requests/pi-7", hello);
  queue.add(ticks); // not before there is something beside them
  let besides = 0;
  const beside = async (): Promise<void> => {
    while (uplink.stats().acknowledged < ticks) {
      besides += 1;
      uplink.publishStatus("status/pi-7", textOf(besides, "s"));
      asker.sendPublish("requests/pi-7", textOf(besides, "r"));
      await uplink.send("answers/pi-7", textOf(besides, "a"));
    }
  };
  await Promise.all([beside(), uplink.drained()]);
  await until(() => requests.length === besides);
  await until(() => got(stream.topic).length + got("answers/pi-7").length >= ticks + besides);
  await stop();
  const wanted = (count: number, mark: string): string[] =>
    Array.from({ length: count }, (_, index) => textOf(index + 1, mark));
  t.ok(got(stream.topic).join() === wanted(ticks, "t").join(), "every tick once and in order");
  t.ok(got("answers/pi-7").join() === wanted(besides, "a").join(), "every answer");
  const statuses = wanted(besides, "s");
  // At QoS 0 a busy broker may drop some.
  t.ok(
    got("status/pi-7").every((text) => statuses.includes(text)),
    "every status whole",
  );
  t.ok(requests.join() === wanted(besides, "r").join(), "every request");
  t.ok(besides >= 5, `${besides} of each beside the ticks`);
  t.equal(queue.settled, ticks);
  t.same(
    lines.map(({ event }) => event),
    ["connected"],
    "on one connection",
  );
}

async function startOurs(t: Teardown): Promise<{ urls: string[]; port: number; ca: Buffer }> {
  const { args, caFile } = await makeCertificates(t);
  const listen = ["mqtts", "ws", "wss"].flatMap((scheme) => ["--listen", `${scheme}://127.0.0.1:0`]);
  const { program, port } = await startBroker(t, { args: [...listen, ...args] });
  const { listen: urls } = program.lines.find(({ event }) => event === "ready") as { listen: string[] };
  return { urls, port, ca: readFileSync(caFile) };
}

async function startTheirs(t: Teardown): Promise<{ urls: string[]; port: number; ca: Buffer }> {
  const { caFile, certFile, keyFile } = await makeCertificates(t);
  const [tls, ws, wss] = [await freePort(), await freePort(), await freePort()];
  const files = [`cafile ${caFile}`, `certfile ${certFile}`, `keyfile ${keyFile}`];
  const { url, port } = await startMosquitto(t, [
    "user root", // where it is started as root: the key is not for others
    ...["allow_anonymous true", "max_queued_messages 0", "max_inflight_messages 0"],
    ...[`listener ${tls} 127.0.0.1`, ...files],
    ...[`listener ${ws} 127.0.0.1`, "protocol websockets"],
    ...[`listener ${wss} 127.0.0.1`, "protocol websockets", ...files],
  ]);
  const others = [`mqtts://127.0.0.1:${tls}`, `ws://127.0.0.1:${ws}`, `wss://127.0.0.1:${wss}`];
  return { urls: [url, ...others], port, ca: readFileSync(caFile) };
}

for (const [name, start, skip] of [
  ["this broker", startOurs, false],
  ["mosquitto", startTheirs, skipUnless("mosquitto", "mosquitto")],
] as const) {
  test(`at ${name}, over each transport, ticks and all else arrive whole, once and in order`, {
    skip,
  }, async (t) => {
    const { urls, port, ca } = await start(t);
    for (const url of urls) {
      await t.test(new URL(url).protocol, (each) => mix(each, url, port, ca));
    }
  });
}
