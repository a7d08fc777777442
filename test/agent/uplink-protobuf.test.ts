import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { decodePayload, systemClock } from "@equipoise/shared";
import { test } from "tap";
import { AgentRequests } from "../../shared/src/client/agent-requests.ts";
import { startBroker, temporaryDirectory } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import { startProgram } from "../support/program.ts";
import { answerMs } from "./requests-support.ts";
import { counting, startAgent, trade, tradeLine } from "./support.ts";

const ordered = `pools:
  - { name: p, filters: ["ticks/#"], ordering: key, key: symbol }
`;

test("with protobuf an ordered pool, the command line, last values and requests are as with JSON", async (t) => {
  const config = join(await temporaryDirectory(t), "broker.yaml");
  await writeFile(config, ordered);
  const broker = await startBroker(t, { args: ["--durability", "memory", "--config", config] });
  const consumers = ["m-1", "m-2"].map((id) =>
    startProgram(t, "consume", [
      ...["--broker", broker.url, "--pool", "p", "--client-id", id, "--format", "json"],
    ]),
  );
  const watcher = await MqttClient.connect(t, broker.port, "watcher");
  await watcher.subscribe("last/#");
  const dataDir = await temporaryDirectory(t);
  const args = ["--source", "stdin:", "--uplink-payload", "protobuf", "--uplink-linger-ms", "5"];
  const agent = startAgent(t, dataDir, broker.url, ...args);
  const numbers = counting(1, 400);
  const symbolOf = (n: number): string => ["A", "B", "C"][n % 3] as string;
  agent.child.stdin.write(numbers.map((n) => tradeLine(n, symbolOf(n))).join(""));

  await agent.event("connected");
  const last = JSON.parse(await watcher.receive());
  t.match(last, { type: "trade", agent: "pi-7" });

  const seen = () => consumers.flatMap(({ lines }) => lines);
  await Promise.all(
    numbers.map((n) => Promise.any(consumers.map((one) => one.line(({ tradeId }) => tradeId === String(n))))),
  );
  for (const n of numbers) {
    const record = seen().find(({ tradeId }) => tradeId === String(n));
    t.match(record, trade(n, symbolOf(n)));
  }
  for (const { lines } of consumers) {
    for (const symbol of ["A", "B", "C"]) {
      const seqs = lines.filter((line) => line.symbol === symbol).map(({ seq }) => Number(seq));
      t.same(
        seqs,
        seqs.toSorted((a, b) => a - b),
        "the key's order holds",
      );
    }
  }
  const requests = new AgentRequests({ clientId: "asker", clean: true, keepaliveS: 30, clock: systemClock });
  t.teardown(() => requests.stop());
  const asked = { venue: "binance", symbol: "A", fromSeq: 1, toSeq: 5 };
  const { records } = await requests.ask(broker.url, "pi-7", "range", asked, answerMs);
  t.match(records[0], trade(3, "A"));

  const reader = await MqttClient.connect(t, broker.port, "reader");
  await reader.subscribe("ticks/#");
  agent.child.stdin.write(tradeLine(401, "A"));
  const { payload } = await reader.next("publish");
  t.equal(payload[0], 0x0a, "the tag of the first field of a batch");
  t.match(decodePayload(payload), [trade(401, "A")]);
});
