/** Queues that are not watched: whoever has found one empty is called when something comes. */
import { test } from "tap";
import { MqttClient } from "../../support/mqtt-client.ts";
import { cli } from "../../support/redis.ts";
import { until } from "../../support/time.ts";
import { skip, startTwo } from "./brokers.ts";

test("idle sessions are not watched, and each is called when something comes for it", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t);
  const waiting = (): string => cli(redis, "HLEN", "equipoise:{default}:waiting");
  const clients = await Promise.all(
    Array.from({ length: 200 }, async (_, n) => {
      const client = await MqttClient.connect(t, a.port, `idle${n}`, { clean: false });
      await client.subscribe(`idle/${n}`);
      return client;
    }),
  );
  await until(() => waiting() === "200");
  t.notMatch(cli(redis, "CLIENT", "LIST"), /cmd=xreadgroup/);
  const publisher = await MqttClient.connect(t, b.port, "publisher");
  for (const round of ["first", "second"]) {
    for (let n = 0; n < 200; n++) publisher.sendPublish(`idle/${n}`, `${round} ${n}`);
    for (const [n, client] of clients.entries()) t.equal(await client.receive(), `${round} ${n}`);
    await until(() => waiting() === "200");
  }
  const ended = await MqttClient.connect(t, b.port, "idle0");
  t.equal(waiting(), "199", "nobody waits for a session that has ended");
  await ended.disconnect();
});

test("no call is missed by a session that takes messages one by one", { skip }, async (t) => {
  const { a, b } = await startTwo(t);
  const client = await MqttClient.connect(t, a.port, "x", { clean: false });
  await client.subscribe("x/#");
  const publishers = await Promise.all(
    [a, b].map(({ port }, at) => MqttClient.connect(t, port, `publisher${at}`)),
  );
  const received = new Set<string>();
  for (let n = 0; n < 300; n++) {
    for (const publisher of publishers)
      publisher.sendPublish("x/1", `${n} of ${publisher === publishers[0]}`);
    if (n % 3 === 0) received.add(await client.receive());
  }
  while (received.size < 600) received.add(await client.receive());
  t.equal(received.size, 600);
});

test("of more pools than are watched, all brokers with members are called", { skip }, async (t) => {
  const { redis, a, b } = await startTwo(t);
  const members = await Promise.all([a, b].map(({ port }, at) => MqttClient.connect(t, port, `member${at}`)));
  for (const member of members) for (let n = 0; n < 300; n++) await member.subscribe(`$share/pool${n}/many`);
  const noted = (): string[] => cli(redis, "HVALS", "equipoise:{default}:waiting").split("\n");
  await until(() => noted().some((brokers) => / /.test(brokers)));
  const publisher = await MqttClient.connect(t, a.port, "publisher");
  for (const text of ["first", "second"]) {
    await publisher.publish("many", text);
    let received = 0;
    await Promise.all(
      members.map(async (member) => {
        while (received < 300) if ((await member.receive(100).catch(() => "")) === text) received++;
      }),
    );
    t.equal(received, 300, "once for each pool");
  }
});
