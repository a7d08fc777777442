/** What the agent says it has had written to disk, beside what Linux says of its process. */
import { existsSync, readFileSync, statfsSync } from "node:fs";
import type { AgentHeartbeat } from "@equipoise/shared";
import { test } from "tap";
import { temporaryDirectory } from "../support/broker.ts";
import { startReceivingBroker } from "./receiving-broker.ts";
import { counting, startAgent, tradeLine, until } from "./support.ts";

const count = 2_000;
/** The type of a file system in memory, of which nothing is ever written to disk. */
const tmpfs = 0x0102_1994;

const linux = { skip: existsSync("/proc/self/io") ? false : "only Linux counts what a process writes" };

test(
  "the heartbeat tells what the process has written, and how much that is for each tick",
  linux,
  async (t) => {
    const broker = await startReceivingBroker(t);
    const dataDir = await temporaryDirectory(t);
    const agent = startAgent(t, dataDir, broker.url, "--source", "stdin:", "--heartbeat-ms", "100");
    const heartbeats = (): AgentHeartbeat[] => {
      const statuses = broker.connections[0]?.statuses ?? [];
      const own = statuses.filter(({ topic }) => topic === "heartbeat/agents/pi-7");
      return own.map(({ payload }) => JSON.parse(payload.toString()));
    };
    const counted = (): number => {
      const io = readFileSync(`/proc/${agent.child.pid}/io`, "utf8");
      return Number(/^write_bytes: (\d+)$/m.exec(io)?.[1]);
    };
    agent.child.stdin.write(
      counting(1, count)
        .map((n) => tradeLine(n))
        .join(""),
    );
    await until(() => heartbeats().at(-1)?.uplink.acknowledged === count);

    const before = counted();
    const fromMs = Date.now();
    // One that was on its way already is older than what was counted.
    const next = () => heartbeats().find(({ timeMs }) => timeMs > fromMs);
    await until(() => next() !== undefined);
    const after = counted();
    const buffer = next()?.buffer;
    const written = buffer?.writtenBytes ?? -1;
    t.ok(before <= written && written <= after, `${before}, ${written}, ${after}`);
    t.equal(buffer?.writtenBytesPerTick, Math.round(written / count));
    t.ok(written > 0 || statfsSync(dataDir).type === tmpfs, "the database is written");
  },
);
