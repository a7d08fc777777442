import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { type MissingTicks, subscribe } from "@equipoise/shared/client";
import Database from "better-sqlite3";
import { test } from "tap";
import { MqttClient } from "../support/mqtt-client.ts";
import { feed, startAsked } from "./requests-support.ts";
import { counting, startAgent, until } from "./support.ts";

test("what a reader missed of an epoch that ended with a damaged buffer comes from what was set aside", async (t) => {
  const { broker, agent, watcher, dataDir } = await startAsked(t, 0);
  const seen: (string | number)[] = [];
  const gaps: MissingTicks[] = [];
  const events: string[] = [];
  const consumer = subscribe({
    broker: broker.url,
    filter: "ticks/#",
    clientId: "ledger",
    random: () => 0.99,
    handler: (record) => void seen.push(record.type === "gap" ? `after ${record.ofEpoch}` : record.seq),
    onGap: (missing) => void gaps.push(missing),
    onEvent: ({ event }) => void events.push(event),
  });
  t.teardown(() => consumer.stop());
  await consumer.start();
  feed(agent, 1, 3);
  await until(() => seen.length === 3);
  const intruder = await MqttClient.connect(t, broker.port, "ledger");
  feed(agent, 4, 5);
  for (const _ of counting(1, 5)) await watcher.receive();
  const { epoch } = await agent.event("ready");
  await agent.stop();
  damageTable(join(dataDir, "buffer.db"), "lost");
  const next = startAgent(t, dataDir, broker.url, "--source", "stdin:");
  await next.event("bufferSetAside");
  await watcher.receive();
  intruder.drop();
  await until(() => events.filter((event) => event === "joined").length === 2);
  feed(next, 6, 6);
  await until(() => seen.length >= 7);
  t.same(seen, [1, 2, 3, 4, 5, `after ${epoch}`, 2]);
  t.same(gaps, []);
});

/** Overwrites a table's first page, so that only this table cannot be read any more. */
function damageTable(path: string, table: string): void {
  const db = new Database(path);
  const page = db.prepare("SELECT rootpage FROM sqlite_schema WHERE name = ?").pluck().get(table) as number;
  const size = db.pragma("page_size", { simple: true }) as number;
  db.close();
  const file = openSync(path, "r+");
  writeSync(file, Buffer.alloc(size, 0xa5), 0, size, (page - 1) * size);
  closeSync(file);
}
