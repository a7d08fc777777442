import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { systemClock } from "@equipoise/shared";
import { test } from "tap";
import { createSource } from "../../agent/src/source/create.ts";
import { parseSourceSpec } from "../../agent/src/source/spec.ts";
import type { Teardown } from "../support/teardown.ts";
import { counting, recordedLog, trade, tradeLine, until } from "./support.ts";
import { KeptMarks, KeptRecords } from "./venue-server.ts";

/** A running source and the port that it has. */
async function listen(t: Teardown, text: string) {
  const { logger, lines } = recordedLog();
  const source = createSource(text, {
    clock: systemClock,
    random: Math.random,
    logger,
    stdin: process.stdin,
    marks: new KeptMarks(),
    speed: "max",
  });
  await source.open();
  const port = Number(lines.find(({ event }) => event === "sourceListening")?.port);
  const sink = new KeptRecords();
  const ended = source.run(sink);
  t.teardown(async () => {
    source.stop();
    await ended;
  });
  return { source, sink, lines, port, ended };
}

async function client(t: Teardown, port: number): Promise<Socket> {
  const socket = connect(port, "127.0.0.1");
  t.teardown(() => socket.destroy());
  await once(socket, "connect");
  return socket;
}

const post = (port: number, body: string, method = "POST") =>
  fetch(`http://127.0.0.1:${port}/`, method === "POST" ? { method, body } : { method });

test("tcp: takes lines from several programs at once and keeps each one's order", async (t) => {
  const { source, sink, port } = await listen(t, "tcp:127.0.0.1:0");
  const [first, second] = [await client(t, port), await client(t, port)];
  for (const n of counting(1, 500)) {
    first.write(tradeLine(n));
    second.write(tradeLine(n, "ETHUSDT"));
  }
  first.write("nonsense\n");
  await until(() => source.status().ticks === 1_000 && source.status().skipped === 1);
  for (const symbol of ["BTCUSDT", "ETHUSDT"]) {
    const ids = sink.trades.filter((one) => one.symbol === symbol).map(({ tradeId }) => Number(tradeId));
    t.same(ids, counting(1, 500));
  }
});

test("tcp: a program that breaks off costs its last half line and nobody else anything", async (t) => {
  const { source, sink, port } = await listen(t, "tcp:127.0.0.1:0");
  const other = await client(t, port);
  const broken = await client(t, port);
  broken.write(tradeLine(1));
  await until(() => sink.ids.length === 1);
  broken.resetAndDestroy();
  other.write(tradeLine(2));
  await until(() => sink.ids.length === 2);
  t.match(source.status(), { state: "running", ticks: 2 });
});

test("tcp: while the sink is full nothing is read, and the program is made to wait", async (t) => {
  const { source, sink, port } = await listen(t, "tcp:127.0.0.1:0");
  const socket = await client(t, port);
  sink.hasRoom = false;
  const lines = counting(1, 50_000).map((n) => tradeLine(n));
  socket.write(lines.join(""));
  await until(() => sink.ids.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 50)); // that nothing comes cannot be waited for
  t.equal(sink.ids.length, 1);
  t.ok(socket.writableLength > 0, "the program still holds what does not fit into the network");
  sink.makeRoom();
  await until(() => source.status().ticks === 50_000);
});

test("udp: takes datagrams of one line and of several", async (t) => {
  const { source, sink, port } = await listen(t, "udp:127.0.0.1:0");
  const socket = createSocket("udp4");
  t.teardown(() => socket.close());
  socket.send(tradeLine(1).trimEnd(), port, "127.0.0.1");
  await until(() => sink.ids.length === 1);
  socket.send(`${tradeLine(2)}nonsense\r\n\n${tradeLine(3)}`, port, "127.0.0.1");
  await until(() => sink.ids.length === 3);
  t.same(sink.ids, ["1", "2", "3"]);
  t.match(source.status(), { ticks: 3, skipped: 1 });
});

test("udp: what comes while the sink is full is dropped, counted and said", async (t) => {
  const { source, sink, lines, port } = await listen(t, "udp:127.0.0.1:0");
  const socket = createSocket("udp4");
  t.teardown(() => socket.close());
  sink.hasRoom = false;
  socket.send(tradeLine(1), port, "127.0.0.1");
  await until(() => sink.ids.length === 1);
  socket.send(tradeLine(2) + tradeLine(3), port, "127.0.0.1");
  await until(() => source.status().skipped === 2);
  t.equal(sink.ids.length, 1);
  sink.makeRoom();
  await until(() => lines.some(({ event }) => event === "sourceDropped"));
  t.match(
    lines.find(({ event }) => event === "sourceDropped"),
    { code: "EQ_LIMIT_REACHED", dropped: 2 },
  );
  socket.send(tradeLine(4), port, "127.0.0.1");
  await until(() => sink.ids.length === 2);
});

test("udp: what cannot be read becomes a gap record of the stream that it names, else of all", async (t) => {
  const { source, sink, port } = await listen(t, "udp:127.0.0.1:0");
  const socket = createSocket("udp4");
  t.teardown(() => socket.close());
  const send = (...lines: string[]) => socket.send(lines.join(""), port, "127.0.0.1");
  send("nonsense\n", tradeLine(1), tradeLine(2, "ETHUSDT"));
  await until(() => sink.ids.length === 2);
  const fromTimeUs = sink.trades[0]?.receivedTimeUs ?? 0;
  send(tradeLine(3).slice(0, 80), "\n", tradeLine(4));
  await until(() => sink.gaps.length > 0);
  t.match(sink.gaps, [{ venue: "binance", symbol: "BTCUSDT", reason: "feed", count: null }]);
  const [gap] = sink.gaps;
  t.ok((gap?.fromTimeUs ?? 0) >= fromTimeUs && (gap?.toTimeUs ?? 0) >= (gap?.fromTimeUs ?? 0));
  send(`{"price":"${"9".repeat(17_000)}"}\n`, "\u0000\n");
  await until(() => sink.gaps.length > 1);
  t.same(
    sink.gaps.slice(1).map(({ symbol }) => symbol),
    ["BTCUSDT", "ETHUSDT"],
  );
  t.match(source.status(), { ticks: 3, skipped: 4, gaps: 3 });
});

test("udp: what Linux drops because nobody reads is counted, said and told", {
  skip: process.platform === "linux" ? false : "only Linux tells",
}, async (t) => {
  const { source, sink, lines, port } = await listen(t, "udp:127.0.0.1:0");
  const socket = createSocket("udp4");
  t.teardown(() => socket.close());
  socket.send(tradeLine(1), port, "127.0.0.1");
  await until(() => sink.ids.length === 1);
  // More than the largest buffer that is asked for; nothing is read while this waits for the other process.
  const sent = 10_000;
  const flood = `const socket = require("node:dgram").createSocket("udp4");
    let left = ${sent};
    for (let n = 0; n < ${sent}; n++)
      socket.send(${JSON.stringify(tradeLine(2))}.repeat(4), ${port}, "127.0.0.1", () => --left || socket.close());`;
  execFileSync(process.execPath, ["-e", flood], { env: {}, timeout: 60_000 });
  await until(() => sink.gaps.length > 0);
  t.match(sink.gaps, [{ venue: "binance", symbol: "BTCUSDT", reason: "feed", count: null }]);
  const said = lines.find(({ event }) => event === "sourceDropped");
  t.match(said, {
    code: "EQ_LIMIT_REACHED",
    msg: /receive buffer of \d+ bytes was full \(net\.core\.rmem_max\)/,
  });
  const arrived = (): number => (source.status().ticks - 1) / 4;
  await until(() => Number(said?.dropped) + arrived() >= sent);
  t.equal(Number(said?.dropped) + arrived(), sent, "not one too many or too few");
  t.equal(source.status().skipped, said?.dropped);
});

test("http: one record and a batch are accepted with their counts", async (t) => {
  const { sink, port } = await listen(t, "http:127.0.0.1:0");
  const one = await post(port, tradeLine(1));
  t.same([one.status, await one.json()], [202, { accepted: 1 }]);
  const batch = await post(port, JSON.stringify([trade(2), trade(3)]));
  t.same([batch.status, await batch.json()], [202, { accepted: 2 }]);
  const digits = await post(port, tradeLine(4).replace('"0.02000000"', "0.020000000000000000001"));
  t.equal(digits.status, 202);
  t.equal(sink.trades.at(-1)?.size, "0.020000000000000000001");
  t.same(sink.ids, ["1", "2", "3", "4"]);
});

test("http: a batch with faults is refused as a whole, with the reason of each record", async (t) => {
  const { source, sink, port } = await listen(t, "http:127.0.0.1:0");
  const batch = [trade(1), { ...trade(2), side: "up" }, trade(3), 7];
  const response = await post(port, JSON.stringify(batch));
  t.equal(response.status, 400);
  t.match(await response.json(), {
    accepted: 0,
    refused: 2,
    faults: [
      { index: 1, reason: /"side" must be/ },
      { index: 3, reason: /JSON object/ },
    ],
  });
  for (const body of ["", "{", "[1", "null"]) {
    const refused = await post(port, body);
    t.equal(refused.status, 400, body);
    t.match(await refused.json(), { accepted: 0, refused: 1 });
  }
  const many = await post(port, `[${"7,".repeat(4_096)}7]`);
  t.match(await many.json(), { faults: [{ reason: /at most 4096 records, not 4097/ }] });
  t.same(sink.ids, []);
  t.equal(source.status().skipped, 7);
});

test("http: a stream that cannot exist is a fault of its record", async (t) => {
  const { sink, port } = await listen(t, "http:127.0.0.1:0");
  const put = sink.put.bind(sink);
  const { EquipoiseError } = await import("@equipoise/shared");
  sink.put = (one) => {
    if (one.tradeId === "2") throw new EquipoiseError("EQ_LIMIT_REACHED", "too many streams");
    return put(one);
  };
  const response = await post(port, JSON.stringify([trade(1), trade(2)]));
  t.equal(response.status, 400);
  t.same(await response.json(), {
    accepted: 1,
    refused: 1,
    faults: [{ index: 1, reason: "too many streams" }],
  });
});

test("http: a full sink answers 503 with the time to wait, and 202 again when there is room", async (t) => {
  const { sink, port } = await listen(t, "http:127.0.0.1:0");
  sink.hasRoom = false;
  t.equal((await post(port, tradeLine(1))).status, 202);
  const busy = await post(port, tradeLine(2));
  t.same([busy.status, busy.headers.get("retry-after")], [503, "1"]);
  sink.makeRoom();
  t.equal((await post(port, tradeLine(3))).status, 202);
  t.same(sink.ids, ["1", "3"]);
});

test("a web page in a local browser can publish nothing", async (t) => {
  const http = await listen(t, "http:127.0.0.1:0");
  const headers = { Origin: "https://example.org" };
  const response = await fetch(`http://127.0.0.1:${http.port}/`, {
    method: "POST",
    body: tradeLine(1),
    headers,
  });
  t.equal(response.status, 403);
  const tcp = await listen(t, "tcp:127.0.0.1:0");
  await t.rejects(post(tcp.port, tradeLine(1)), "the connection is closed without an answer");
  t.same([...http.sink.ids, ...tcp.sink.ids], []);
  t.ok(tcp.lines.some(({ reason }) => reason === "a connection spoke HTTP and was closed"));
});

test("http: only POST, and no body beyond the bound", async (t) => {
  const { port } = await listen(t, "http:127.0.0.1:0");
  t.equal((await post(port, "", "GET")).status, 405);
  const socket = await client(t, port);
  socket.write("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000000\r\n\r\n");
  let answer = "";
  socket.on("data", (data) => {
    answer += data;
  });
  socket.on("error", () => {}); // it is closed while we still write
  socket.write("x".repeat(5_000_000));
  await until(() => answer.includes("\r\n\r\n"));
  t.match(answer, /^HTTP\/1\.1 413 /);
});

test("an address that is taken is refused in one line that names it", async (t) => {
  for (const kind of ["tcp", "udp", "http"]) {
    const { port } = await listen(t, `${kind}:127.0.0.1:0`);
    await t.rejects(listen(t, `${kind}:127.0.0.1:${port}`), {
      code: "EQ_PORT_IN_USE",
      message: new RegExp(`${kind}:127\\.0\\.0\\.1:${port}: .*EADDRINUSE`),
    });
  }
});

test("specifications of venues and listeners say exactly what is wrong with them", async (t) => {
  t.match(parseSourceSpec("binance:btcusdt,ETHUSDT,BTCUSDT?url=ws://127.0.0.1:1/x?a=b&c=d"), {
    kind: "venue",
    venue: { name: "binance" },
    symbols: ["BTCUSDT", "ETHUSDT"],
    url: "ws://127.0.0.1:1/x?a=b&c=d",
  });
  t.match(parseSourceSpec("kraken:BTC/USD"), { symbols: ["BTC/USD"], url: "wss://ws.kraken.com/v2" });
  t.match(parseSourceSpec("tcp:[::1]:9"), { kind: "tcp", host: "::1", port: 9 });
  t.match(parseSourceSpec("http:localhost:0"), { kind: "http", host: "localhost", port: 0 });
  const faults: [string, RegExp][] = [
    ["binance:", /names no symbol/],
    ["okx:BTC-USDT,", /names no symbol/],
    ["okx:BTC USDT", /"BTC USDT"/],
    ["okx:BTC-USDT?speed=1", /only url=/],
    ["okx:BTC-USDT?url=http://x", /must begin with ws/],
    ["okx:BTC-USDT?url=wss://x/#y", /must begin with ws/],
    [`okx:${counting(1, 201).join(",")}`, /more than 200 symbols/],
    ["tcp:1883", /must be tcp:HOST:PORT/],
    ["udp:127.0.0.1:70000", /must be udp:HOST:PORT/],
    ["http:0.0.0.0:80", /0\.0\.0\.0; feed handlers are local/],
    ["tcp:192.168.0.7:80", /local/],
  ];
  for (const [spec, fault] of faults) t.match(parseSourceSpec(spec), { fault }, spec);
});
