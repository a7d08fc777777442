import { once } from "node:events";
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { connect as connectTcp } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";
import mqtt, { type MqttClient as Client, type IClientOptions } from "mqtt";
import { generate, type Packet } from "mqtt-packet";
import { type Test, test } from "tap";
import { WebSocket } from "ws";
import { temporaryDirectory } from "../support/broker.ts";
import { skipUnless } from "../support/debian.ts";
import { type Program, startCommand, startProgram } from "../support/program.ts";
import { type Certificates, makeCertificates } from "./auth-fixtures.ts";

interface Listening {
  program: Program;
  /** The bound addresses, in the order asked for. */
  urls: string[];
}

async function start(t: Test, listen: string[], args: string[] = []): Promise<Listening> {
  const addresses = listen.flatMap((url) => ["--listen", url]);
  const program = startProgram(t, "broker", [...addresses, "--durability", "memory", ...args]);
  const ready = await program.event("ready");
  return { program, urls: ready.listen as string[] };
}

const portOf = (url: string | undefined): number => Number(new URL(url ?? "").port);

async function connectClient(t: Test, url: string, options: IClientOptions = {}): Promise<Client> {
  const client = await mqtt.connectAsync(url, { reconnectPeriod: 0, ...options }, false);
  t.teardown(() => client.endAsync(true));
  return client;
}

const nextMessage = (client: Client): Promise<[string, Buffer]> =>
  new Promise((resolve) => client.once("message", (topic, payload) => resolve([topic, payload])));

const trust = ({ caFile }: Certificates) => ({ ca: readFileSync(caFile) });

test("MQTT goes through TCP, TLS, WebSocket and WebSocket over TLS alike, in both directions", async (t) => {
  const certificates = await makeCertificates(t);
  const schemes = ["mqtt", "mqtts", "ws", "wss"];
  const { urls } = await start(
    t,
    schemes.map((scheme) => `${scheme}://127.0.0.1:0`),
    certificates.args,
  );
  t.same(
    urls.map((url) => url.split(":")[0]),
    schemes,
  );
  const clients = await Promise.all(
    urls.map((url, at) => connectClient(t, url, { ...trust(certificates), clientId: `c${at}` })),
  );
  const payload = Buffer.alloc(300_000, "x");
  for (const [at, client] of clients.entries()) {
    await client.subscribeAsync(`to/${at}`, { qos: 1 });
    const received = nextMessage(client);
    await clients[(at + 1) % clients.length]?.publishAsync(`to/${at}`, payload, { qos: 1 });
    const [topic, bytes] = await received;
    t.equal(topic, `to/${at}`);
    t.ok(payload.equals(bytes), `300 kB through ${schemes[at]}`);
  }
});

async function openWebSocket(t: Test, url: string, options: { protocol?: string; origin?: string } = {}) {
  const { protocol = "mqtt", ...more } = options;
  const socket = new WebSocket(url, protocol === "" ? [] : [protocol], more);
  t.teardown(() => socket.terminate());
  await once(socket, "open");
  return socket;
}

const packet = (fields: object): Buffer => generate(fields as Packet);
const connectPacket = packet({ cmd: "connect", clientId: "raw", clean: true, keepalive: 0 });

test("a WebSocket message may hold parts of packets or several of them [MQTT-6.0.0-2]", async (t) => {
  const { urls } = await start(t, ["ws://127.0.0.1:0"]);
  const socket = await openWebSocket(t, urls[0] as string);
  t.equal(socket.protocol, "mqtt", "[MQTT-6.0.0-4]");
  const ping = packet({ cmd: "pingreq" });
  const all = Buffer.concat([connectPacket, ping, ping, ping]);
  let received = Buffer.alloc(0);
  // Several messages may come at once: `once` would miss all but the first.
  const complete = new Promise<void>((resolve) => {
    socket.on("message", (message: Buffer, isBinary: boolean) => {
      t.equal(isBinary, true);
      received = Buffer.concat([received, message]);
      if (received.length >= 10) resolve();
    });
  });
  socket.send(all.subarray(0, 1));
  socket.send(all.subarray(1, 9));
  socket.send(all.subarray(9));
  await complete;
  t.equal(received.toString("hex"), "20020000d000d000d000");
});

test("a WebSocket that sends text is closed [MQTT-6.0.0-1]", async (t) => {
  const { urls, program } = await start(t, ["ws://127.0.0.1:0"]);
  const socket = await openWebSocket(t, urls[0] as string);
  const closed = once(socket, "close");
  socket.send(connectPacket.toString("latin1"));
  await closed;
  await program.line(({ event, reason }) => event === "connection.closed" && reason === "socketError");
});

test("what a client sends just before it closes its WebSocket still counts", async (t) => {
  const { urls, program } = await start(t, ["ws://127.0.0.1:0"]);
  const socket = await openWebSocket(t, urls[0] as string);
  socket.send(Buffer.concat([connectPacket, packet({ cmd: "disconnect" })]));
  socket.close();
  await program.line(({ event, reason }) => event === "connection.closed" && reason === "disconnect");
  t.pass("the DISCONNECT was read");
});

test("HTTP that is no WebSocket for MQTT, or comes from a web page that nobody allowed, is refused", async (t) => {
  const { urls, program } = await start(
    t,
    ["ws://127.0.0.1:0"],
    ["--web-socket-allowed-origins", "https://desk.example"],
  );
  const [url = ""] = urls;
  t.equal((await fetch(url.replace("ws:", "http:"))).status, 426);
  await t.rejects(openWebSocket(t, url, { protocol: "" }), { message: /400/ });
  await t.rejects(openWebSocket(t, url, { protocol: "soap" }), { message: /400/ });
  await t.rejects(openWebSocket(t, url, { origin: "https://evil.example" }), { message: /403/ });
  await openWebSocket(t, url, { origin: "https://desk.example" });
  await program.line(({ event, reason }) => event === "connection.refused" && /origin/.test(String(reason)));
});

test("a WebSocket that does not read is bounded, and nobody else waits for it", async (t) => {
  const { urls, program } = await start(
    t,
    ["ws://127.0.0.1:0"],
    ["--limits-max-queue-bytes", "1MiB", "--limits-max-output-bytes", "64KiB"],
  );
  const stalled = await openWebSocket(t, urls[0] as string);
  stalled.send(connectPacket);
  await once(stalled, "message");
  const subscriptions = [{ topic: "a", qos: 0 }];
  stalled.send(packet({ cmd: "subscribe", messageId: 1, subscriptions }));
  await once(stalled, "message");
  stalled.pause();
  const publisher = await connectClient(t, urls[0] as string);
  const payload = Buffer.alloc(60_000, "x");
  for (let number = 0; number < 400; number++) await publisher.publishAsync("a", payload, { qos: 1 });
  await program.event("session.dropped");
  t.pass("24 MB passed the stalled one by, and its oldest messages were dropped");
});

test("connections are bounded in total and per address, from the first byte on", async (t) => {
  const certificates = await makeCertificates(t);
  for (const [limit, count] of [
    ["--limits-max-connections", 2],
    ["--limits-max-connections-per-address", 2],
  ] as const) {
    const args = [limit, String(count), ...certificates.args];
    const { urls, program } = await start(t, ["mqtts://127.0.0.1:0"], args);
    const open = () => {
      const socket = connectTcp(portOf(urls[0]), "127.0.0.1").on("error", () => {});
      t.teardown(() => socket.destroy());
      return socket;
    };
    const silent = [open(), open()];
    await Promise.all(silent.map((socket) => once(socket, "connect")));
    await once(open(), "close");
    t.match(await program.event("connection.refused"), { reason: new RegExp(`is ${count}$`) });
    silent[0]?.destroy();
    for (;;) {
      const again = await connectClient(t, urls[0] as string, trust(certificates)).catch(() => undefined);
      if (again !== undefined) break;
    }
    t.pass("a place that is free again can be taken");
  }
});

test("a client that does not finish its TLS handshake or its upgrade is closed in time", async (t) => {
  const certificates = await makeCertificates(t);
  const listen = ["mqtts://127.0.0.1:0", "ws://127.0.0.1:0", "wss://127.0.0.1:0", "mqtt://127.0.0.1:0"];
  const { urls } = await start(t, listen, ["--limits-connect-timeout-ms", "300", ...certificates.args]);
  await Promise.all(
    urls.map(async (url) => {
      const socket = connectTcp(portOf(url), "127.0.0.1").on("error", () => {});
      await once(socket.resume(), "close");
    }),
  );
  t.pass("all four were closed");
});

test("SIGHUP brings a new certificate for new connections and keeps the old ones; a broken one changes nothing", async (t) => {
  const certificates = await makeCertificates(t);
  const { urls, program } = await start(t, ["mqtts://127.0.0.1:0"], certificates.args);
  const client = await connectClient(t, urls[0] as string, trust(certificates));
  const served = async (): Promise<unknown> => {
    const socket = connectTls({ port: portOf(urls[0]), host: "127.0.0.1", ...trust(certificates) });
    await once(socket, "secureConnect");
    const { subject } = socket.getPeerCertificate();
    socket.destroy();
    return subject.CN;
  };
  t.equal(await served(), "first");
  await certificates.renewServer("second");
  program.child.kill("SIGHUP");
  await program.event("certificates.loaded");
  t.equal(await served(), "second");
  await writeFile(certificates.certFile, "no certificate");
  program.child.kill("SIGHUP");
  const failed = await program.event("reload.failed");
  t.match(failed, { code: "EQ_TLS_UNUSABLE", detail: new RegExp(certificates.certFile) });
  t.equal(await served(), "second");
  await client.publishAsync("a", "still connected", { qos: 1 });
});

test("a broker does not start with certificate files that cannot be used, and says which", async (t) => {
  const { args, certFile, keyFile, caFile, device } = await makeCertificates(t);
  const other = await device("other");
  const dataDir = await temporaryDirectory(t);
  const garbage = join(dataDir, "garbage.pem");
  await writeFile(garbage, "no certificate");
  const cases: [string[], RegExp][] = [
    [[], /tls\.certFile is not set/],
    [["--tls-cert-file", join(dataDir, "none"), "--tls-key-file", keyFile], /none: ENOENT/],
    [["--tls-cert-file", garbage, "--tls-key-file", keyFile], /garbage\.pem: /],
    [["--tls-cert-file", certFile, "--tls-key-file", other.keyFile], /other\.key is not the key of /],
    [[...args, "--tls-ca-file", garbage], /garbage\.pem: /],
    [[...args, "--tls-require-client-cert"], /EQ_CONFIG_BAD_VALUE: tls\.requireClientCert needs tls\.caFile/],
  ];
  for (const [more, message] of cases) {
    const program = startProgram(t, "broker", [
      "--listen",
      "mqtts://127.0.0.1:0",
      "--durability",
      "memory",
      ...more,
    ]);
    const code = await program.exited.then((exit) => exit.code);
    t.ok(code === 1 || code === 2, `ends with ${code}`);
    t.match(program.stderr, message);
    t.notMatch(program.stderr, /\n\s+at /, "without a stack");
  }
  t.ok(caFile);
});

test("strangers' listeners need a users file, certificates, or somebody who accepts the risk", async (t) => {
  const { args, caFile } = await makeCertificates(t);
  const clientCert = [...args, "--tls-ca-file", caFile, "--tls-require-client-cert"];
  for (const [listen, more] of [
    ["mqtts://0.0.0.0:0", args],
    ["mqtt://0.0.0.0:0", clientCert],
  ] as const) {
    const program = startProgram(t, "broker", ["--listen", listen, "--durability", "memory", ...more]);
    t.equal((await program.exited).code, 1);
    t.match(program.stderr, /EQ_ANONYMOUS_REFUSED/);
  }
  await start(t, ["mqtts://0.0.0.0:0"], clientCert);
});

const mosquitto = skipUnless("mosquitto_pub", "mosquitto-clients");

test("a client certificate is the user: its common name binds the client id", {
  skip: mosquitto,
}, async (t) => {
  const certificates = await makeCertificates(t);
  const { certFile, keyFile } = await certificates.device("pi-7");
  const args = [...certificates.args, "--tls-ca-file", certificates.caFile, "--tls-require-client-cert"];
  const { urls, program } = await start(t, ["mqtts://127.0.0.1:0", "wss://127.0.0.1:0"], args);
  const base = ["-h", "localhost", "-p", String(portOf(urls[0])), "--cafile", certificates.caFile, "-q", "1"];
  const own = ["--cert", certFile, "--key", keyFile];
  const publish = async (id: string, topic: string, more: string[]): Promise<number | null> => {
    const command = startCommand(t, "mosquitto_pub", [...base, "-i", id, "-t", topic, "-m", "m", ...more]);
    return (await command.exited).code;
  };
  const wss = { ...trust(certificates), cert: readFileSync(certFile), key: readFileSync(keyFile) };
  const reader = await connectClient(t, urls[1] as string, { ...wss, clientId: "pi-7-reader" });
  await reader.subscribeAsync("ticks/#", { qos: 1 });
  const received = nextMessage(reader);
  t.equal(await publish("pi-7", "ticks/v/s/pi-7", own), 0);
  t.equal((await received)[0], "ticks/v/s/pi-7");
  t.not(await publish("pi-8", "ticks/v/s/pi-8", own), 0, "another's client id");
  t.not(await publish("pi-7", "ticks/v/s/pi-8", own), 0, "another's topic");
  t.not(await publish("pi-7", "ticks/v/s/pi-7", []), 0, "no certificate");
  const stranger = await (await makeCertificates(t)).device("pi-7");
  const foreign = ["--cert", stranger.certFile, "--key", stranger.keyFile];
  t.not(await publish("pi-7", "ticks/v/s/pi-7", foreign), 0, "a certificate of another authority");
  for (const reason of [/^TLS: no client certificate$/, /^TLS: [A-Z_]+$/])
    await program.line((line) => line.event === "connection.refused" && reason.test(String(line.reason)));
});
