import t, { test } from "tap";
import { startBroker } from "../../support/broker.ts";
import { MqttClient } from "../../support/mqtt-client.ts";
import { answerTo, connectPacket, field, packet } from "./raw.ts";

const { port, program } = await startBroker(t, { args: ["--durability", "memory"] });
const invalidUtf8 = Buffer.from([0x61, 0xed, 0xa0, 0x80]);

test("[MQTT-3.1.0-1] [MQTT-3.1.4-1] a first packet that is no CONNECT, or no valid one, closes", async (t) => {
  const broken: [string, Buffer][] = [
    ["PINGREQ", packet(0xc0)],
    ["SUBSCRIBE", packet(0x82, [0, 1], field("a"), [0])],
    ["a CONNECT with reserved bits", Buffer.from([0x11, ...connectPacket().subarray(1)])],
    ["an empty CONNECT", packet(0x10)],
    ["half a CONNECT", packet(0x10, connectPacket().subarray(2, 9))],
    ["bytes behind the payload", connectPacket({ rest: [Buffer.from([0])] })],
  ];
  for (const [name, bytes] of broken) t.equal(await answerTo(t, port, bytes), "closed", name);
});

test("[MQTT-3.1.0-2] a second CONNECT closes", async (t) => {
  const client = await MqttClient.connect(t, port, "twice");
  client.socket.write(connectPacket({ id: "twice" }));
  await client.closed;
});

test("[MQTT-3.1.2-1] another protocol's name closes, without a CONNACK [MQTT-3.2.2-6]", async (t) => {
  for (const name of ["MQTU", "mqtt", "", "HTTP"])
    t.equal(await answerTo(t, port, connectPacket({ name })), "closed", JSON.stringify(name));
});

test("[MQTT-3.1.2-2] [MQTT-3.2.2-5] an unknown protocol level is answered with 1, then closed", async (t) => {
  for (const level of [0, 3, 5, 6, 0x84, 255])
    t.equal(await answerTo(t, port, connectPacket({ level })), 1, `level ${level}`);
});

test("a client of MQTT 3.1 is accepted", async (t) => {
  t.equal(await answerTo(t, port, connectPacket({ name: "MQIsdp", level: 3 })), 0);
});

test("[MQTT-3.1.2-3] the reserved connect flag closes", async (t) => {
  t.equal(await answerTo(t, port, connectPacket({ flags: 3 })), "closed");
});

test("[MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT-3.1.2-14] [MQTT-3.1.2-15] will flags that contradict each other close", async (t) => {
  const will = [field("w"), field("m")];
  t.equal(await answerTo(t, port, connectPacket({ flags: 0x0a })), "closed", "a QoS and no will");
  t.equal(await answerTo(t, port, connectPacket({ flags: 0x22 })), "closed", "retain and no will");
  t.equal(await answerTo(t, port, connectPacket({ flags: 0x1e, rest: will })), "closed", "QoS 3");
  t.equal(await answerTo(t, port, connectPacket({ flags: 0x06 })), "closed", "a will flag and no will");
  t.equal(
    await answerTo(t, port, connectPacket({ flags: 0x02, rest: will })),
    "closed",
    "a will and no flag",
  );
  t.equal(await answerTo(t, port, connectPacket({ flags: 0x36, rest: will })), 0, "QoS 2, retained");
});

test("[MQTT-3.1.2-18] [MQTT-3.1.2-19] [MQTT-3.1.2-20] [MQTT-3.1.2-21] [MQTT-3.1.2-22] user name and password are there when their flags say so", async (t) => {
  const name = field("user");
  const password = field("secret");
  t.equal(
    await answerTo(t, port, connectPacket({ flags: 0x42, rest: [password] })),
    "closed",
    "password alone",
  );
  t.equal(await answerTo(t, port, connectPacket({ flags: 0x82 })), "closed", "no user name");
  t.equal(await answerTo(t, port, connectPacket({ flags: 0xc2, rest: [name] })), "closed", "no password");
  t.equal(await answerTo(t, port, connectPacket({ flags: 0x02, rest: [name] })), "closed", "no flag");
  t.equal(
    await answerTo(t, port, connectPacket({ flags: 0x82, rest: [name, password] })),
    "closed",
    "one flag",
  );
  t.equal(await answerTo(t, port, connectPacket({ flags: 0x82, rest: [name] })), 0);
  t.equal(await answerTo(t, port, connectPacket({ flags: 0xc2, rest: [name, password] })), 0);
});

test("[MQTT-3.1.3-1] [MQTT-3.1.3-3] the payload's fields are read in their order", async (t) => {
  const watcher = await MqttClient.connect(t, port, "order-watcher");
  await watcher.subscribe("order/#", 2);
  const client = await MqttClient.open(t, port);
  const rest = [field("order/will"), field("message"), field("user"), field("secret")];
  client.socket.write(connectPacket({ id: "order", flags: 0xd6, rest }));
  t.equal((await client.next("connack")).returnCode, 0);
  client.drop();
  const will = await watcher.next("publish");
  t.match(will, { topic: "order/will", qos: 2 });
  t.equal(will.payload.toString(), "message");
});

test("[MQTT-1.5.3-1] [MQTT-3.1.3-4] [MQTT-3.1.3-10] [MQTT-3.1.3-11] strings of a CONNECT that are not UTF-8 close", async (t) => {
  const will = (topic: Uint8Array): Buffer => connectPacket({ flags: 6, rest: [field(topic), field("m")] });
  t.equal(await answerTo(t, port, connectPacket({ id: invalidUtf8 })), "closed", "client identifier");
  t.equal(await answerTo(t, port, connectPacket({ id: Buffer.from([0xff]) })), "closed", "no UTF-8 at all");
  t.equal(await answerTo(t, port, will(invalidUtf8)), "closed", "will topic");
  t.equal(
    await answerTo(t, port, connectPacket({ flags: 0x82, rest: [field(invalidUtf8)] })),
    "closed",
    "user name",
  );
});

test("[MQTT-1.5.3-2] U+0000 in a string of a CONNECT closes", async (t) => {
  t.equal(await answerTo(t, port, connectPacket({ id: "a\0b" })), "closed");
  t.equal(await answerTo(t, port, connectPacket({ flags: 6, rest: [field("w\0"), field("m")] })), "closed");
  t.equal(await answerTo(t, port, connectPacket({ flags: 0x82, rest: [field("\0")] })), "closed");
});

test("a will topic that nobody may publish to closes [MQTT-4.7.1-1] [MQTT-4.7.3-1]", async (t) => {
  for (const topic of ["", "a/+", "#"])
    t.equal(
      await answerTo(t, port, connectPacket({ flags: 6, rest: [field(topic), field("m")] })),
      "closed",
      JSON.stringify(topic),
    );
});

test("[MQTT-3.1.3-2] [MQTT-3.1.3-5] identifiers of 1 to 23 characters are accepted, each with its own session", async (t) => {
  for (const id of ["0", "abcdefghijklmnopqrstuvw", "ABCDEFGHIJKLMNOPQRSTUV9"]) {
    const client = await MqttClient.connect(t, port, id, { clean: false });
    t.equal(client.sessionPresent, false, id);
    await client.disconnect();
    t.equal((await MqttClient.connect(t, port, id, { clean: false })).sessionPresent, true, id);
  }
});

test("[MQTT-3.1.3-9] an identifier longer than the limit is answered with 2, then closed", async (t) => {
  t.equal(await answerTo(t, port, connectPacket({ id: "x".repeat(128) })), 0);
  t.equal(await answerTo(t, port, connectPacket({ id: "x".repeat(129) })), 2);
});

test("[MQTT-3.1.3-6] an empty identifier gets a name of the broker's, never twice the same", async (t) => {
  const clients = [await MqttClient.connect(t, port, ""), await MqttClient.connect(t, port, "")];
  for (const client of clients) t.same(await client.settle(), []);
  const names: unknown[] = [];
  await program.line(({ event, clientId }) => {
    if (event === "connection.opened" && String(clientId).startsWith("auto-")) names.push(clientId);
    return names.length === 2;
  });
  t.equal(new Set(names).size, 2);
});

test("[MQTT-3.1.3-7] [MQTT-3.1.3-8] an empty identifier with CleanSession 0 is answered with 2, then closed", async (t) => {
  t.equal(await answerTo(t, port, connectPacket({ id: "", flags: 0 })), 2);
});

test("[MQTT-3.1.4-2] a second connection with the same identifier ends the first, a refused one does not", async (t) => {
  const first = await MqttClient.connect(t, port, "same");
  t.equal(await answerTo(t, port, connectPacket({ id: "same", level: 9 })), 1);
  t.same(await first.settle(), [], "the first goes on");
  const second = await MqttClient.connect(t, port, "same");
  await first.closed;
  t.same(await second.settle(), []);
});

test("[MQTT-3.1.4-3] [MQTT-3.1.4-4] [MQTT-3.2.0-1] the answer to a CONNECT is a CONNACK with 0, before everything else", async (t) => {
  const first = await MqttClient.connect(t, port, "waiting", { clean: false });
  await first.subscribe("waiting", 1);
  await first.disconnect();
  const publisher = await MqttClient.connect(t, port, "waiting-publisher");
  await publisher.publish("waiting", "m");
  const second = await MqttClient.open(t, port);
  second.sendConnect("waiting", { clean: false });
  await second.next("publish");
  t.match(second.inbox[0], { cmd: "connack", returnCode: 0, sessionPresent: true });
});

test("[MQTT-3.1.4-5] nothing that follows a refused CONNECT is processed", async (t) => {
  const watcher = await MqttClient.connect(t, port, "refused-watcher");
  await watcher.subscribe("refused");
  const publish = packet(0x30, field("refused"), Buffer.from("m"));
  t.equal(await answerTo(t, port, Buffer.concat([connectPacket({ level: 9 }), publish])), 1);
  t.same(await watcher.settle(), []);
});

test("[MQTT-3.2.2-1] [MQTT-3.2.2-2] [MQTT-3.2.2-3] [MQTT-3.2.2-4] session present is said exactly when a session is there", async (t) => {
  const present = async (clean: boolean): Promise<boolean> => {
    const client = await MqttClient.connect(t, port, "present", { clean });
    await client.disconnect();
    return client.sessionPresent;
  };
  t.same([await present(false), await present(false)], [false, true]);
  t.same([await present(true), await present(true), await present(false)], [false, false, false]);
  const refused = await MqttClient.open(t, port);
  refused.socket.write(connectPacket({ id: "present", flags: 0, level: 9 }));
  t.match(await refused.next("connack"), { returnCode: 1, sessionPresent: false });
});

test("[MQTT-3.14.4-2] [MQTT-3.14.4-3] DISCONNECT closes and voids the will; what follows it is not read", async (t) => {
  const watcher = await MqttClient.connect(t, port, "end-watcher");
  await watcher.subscribe("end/#");
  const client = await MqttClient.open(t, port);
  const will = [field("end/will"), field("m")];
  client.socket.write(
    Buffer.concat([
      connectPacket({ id: "end", flags: 0x0e, rest: will }),
      packet(0x30, field("end/before"), Buffer.from("0")),
      packet(0x32, field("end/before"), [0, 1], Buffer.from("1")),
      packet(0xe0),
      packet(0x30, field("end/after"), Buffer.from("2")),
    ]),
  );
  await client.closed;
  t.same([await watcher.receive(), await watcher.receive()], ["0", "1"], "what came before is delivered");
  t.same(await watcher.settle(), []);
});

test("[MQTT-3.14.1-1] [MQTT-2.2.2-1] [MQTT-2.2.2-2] reserved flags, or a body where there is none, close with the will", async (t) => {
  const watcher = await MqttClient.connect(t, port, "flags-watcher");
  await watcher.subscribe("flags");
  const broken: [string, number[]][] = [
    ["DISCONNECT with flags", [0xe1, 0]],
    ["DISCONNECT with a body", [0xe0, 1, 0]],
    ["PINGREQ with flags", [0xc4, 0]],
    ["PINGREQ with a body", [0xc0, 2, 0, 0]],
    ["PUBACK with flags", [0x42, 2, 0, 1]],
    ["PUBREC with flags", [0x51, 2, 0, 1]],
    ["PUBREL without its flag", [0x60, 2, 0, 1]],
    ["PUBCOMP with flags", [0x78, 2, 0, 1]],
    ["PUBACK with a body too long", [0x40, 3, 0, 1, 0]],
    ["PUBACK with a body too short", [0x40, 1, 0]],
    ["packet type 0", [0x00, 0]],
    ["packet type 15", [0xf0, 0]],
    ["SUBACK", [0x90, 3, 0, 1, 0]],
    ["UNSUBACK", [0xb0, 2, 0, 1]],
    ["PINGRESP", [0xd0, 0]],
  ];
  for (const [name, bytes] of broken) {
    const will = { topic: "flags", payload: Buffer.from(name), qos: 1, retain: false };
    const client = await MqttClient.connect(t, port, "flags", { will });
    client.socket.write(Buffer.from(bytes));
    await client.closed;
    t.equal(await watcher.receive(), name);
  }
});

test("a CONNECT has room for the largest will; a larger one is closed at its length, before it is gathered", async (t) => {
  const rest = [field("w"), field(Buffer.alloc(65_535))];
  t.equal(await answerTo(t, port, connectPacket({ id: "largest-will", flags: 6, rest })), 0);
  const header = packet(0x10, Buffer.alloc(140_000)).subarray(0, 20);
  t.equal(await answerTo(t, port, header), "closed");
  await program.line(({ event, reason }) => event === "connection.closed" && reason === "packetTooLarge");
  const client = await MqttClient.connect(t, port, "large-after");
  await client.publish("large", "x".repeat(500_000));
});

test("[MQTT-3.12.4-1] a PINGREQ is answered with a PINGRESP, each one", async (t) => {
  const client = await MqttClient.connect(t, port, "pinger");
  client.socket.write(Buffer.concat(Array.from({ length: 100 }, () => packet(0xc0))));
  for (let count = 0; count < 100; count++) await client.next("pingresp");
  t.same(client.inbox, []);
});
