/** A real agent behind a real broker, and somebody who asks it. */
import { systemClock, type TickRecord } from "@equipoise/shared";
import { type MissingTicks, subscribe } from "@equipoise/shared/client";
import { AgentRequests } from "../../shared/src/client/agent-requests.ts";
import { startBroker, type TestBroker, temporaryDirectory } from "../support/broker.ts";
import { MqttClient } from "../support/mqtt-client.ts";
import type { Program } from "../support/program.ts";
import type { Teardown } from "../support/teardown.ts";
import { startWire } from "../support/wire.ts";
import { counting, startAgent, tradeLine, until } from "./support.ts";

/** Longest wait for an agent's answer that must come. */
export const answerMs = 30_000;

export const stream = { venue: "binance", symbol: "BTCUSDT" };

/** An agent that has had some ticks acknowledged, and somebody who asks it. */
export async function startAsked(t: Teardown, ticks: number, ...args: string[]) {
  const broker = await startBroker(t, { args: ["--durability", "memory"] });
  const watcher = await MqttClient.connect(t, broker.port, "watcher");
  await watcher.subscribe("ticks/#");
  const dataDir = await temporaryDirectory(t);
  const agent = startAgent(t, dataDir, broker.url, "--source", "stdin:", ...args);
  await agent.event("connected");
  feed(agent, 1, ticks);
  for (let n = 1; n <= ticks; n += 1) await watcher.receive();
  const requests = new AgentRequests({ clientId: "asker", clean: true, keepaliveS: 30, clock: systemClock });
  t.teardown(() => requests.stop());
  const ask = (method: string, body: object = {}) => requests.ask(broker.url, "pi-7", method, body, answerMs);
  return { broker, agent, watcher, ask, dataDir, requests };
}

/** An exclusive consumer, and all that it is told. */
export async function startLedger(t: Teardown, { port }: TestBroker) {
  const wire = await startWire(t, port);
  const records: TickRecord[] = [];
  const gaps: MissingTicks[] = [];
  const events: string[] = [];
  const consumer = subscribe({
    broker: `mqtt://127.0.0.1:${wire.port}`,
    filter: "ticks/#",
    random: () => 0.1,
    resendTimeoutMs: answerMs,
    handler: (record) => void records.push(record),
    onGap: (missing) => void gaps.push(missing),
    onEvent: ({ event }) => void events.push(event),
  });
  t.teardown(() => consumer.stop());
  await consumer.start();
  /** It is without the broker from now on until that is called; what is then called resolves when it has it again. */
  const cutOff = (): (() => Promise<unknown>) => {
    wire.refuse = true;
    for (const link of wire.links()) link.cut();
    return () => {
      wire.refuse = false;
      return until(() => events.filter((event) => event === "joined").length === 2);
    };
  };
  return { records, gaps, events, cutOff };
}

/** For an agent that is connected but may not have subscribed yet: before, nobody answers. */
export const untilAnswered = (requests: AgentRequests, url: string): Promise<number> =>
  until(
    async () => (await requests.ask(url, "pi-7", "ping", {}, 1_000).catch(() => undefined)) !== undefined,
  );

export function feed(agent: Program, from: number, to: number): void {
  for (const n of counting(from, to)) agent.child.stdin.write(tradeLine(n));
}
