/** The agent's settings. */
import { hostname } from "node:os";
import {
  byteCount,
  bytes,
  type Config,
  choice,
  flag,
  integer,
  limits,
  type Program,
  type Setting,
  text,
  texts,
} from "@equipoise/shared";
import * as z from "zod";
import { parseSourceSpec, sourceForms } from "./source/spec.ts";

const source: Setting<string[]> = {
  ...texts([], `where ticks come from: ${sourceForms}`, {
    placeholder: "SPEC",
    item: z.string().superRefine((spec, context) => {
      const parsed = parseSourceSpec(spec);
      if ("fault" in parsed) context.addIssue(parsed.fault);
    }),
  }),
  // Paths may hold commas and spaces; a new specification begins with its kind.
  parse: (value) => value.split(/\s+(?=[a-z][a-z0-9-]*:)/),
};

const brokerUrl = z.string().superRefine((url, context) => {
  if (!isBrokerUrl(url))
    context.addIssue("must be a URL such as mqtt://host:1883, mqtts://, ws:// or wss://");
});

function isBrokerUrl(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && /^(mqtts?|wss?):$/.test(url.protocol) && url.hostname !== "";
}

const speed = z
  .string()
  .regex(/^(realtime|max|(?=.*[1-9])\d+(\.\d+)?)$/, "must be realtime, max or a positive number");
const id = z.string().min(1).max(limits.maxIdLength);

/** Below this an empty database would be at its bound already. */
const minBufferBytes = 2 ** 20;
const maxBytes: Setting<number> = {
  ...bytes(2 ** 30, "most bytes of the buffer's database in use"),
  schema: byteCount.refine((value) => value >= minBufferBytes, "must be 1MiB or more") as z.ZodType<number>,
};

export const settings = {
  agentId: text(hostname(), "this agent's name, in topics and as MQTT client id", {
    placeholder: "ID",
    schema: id,
  }),
  source,
  speed: text("realtime", "pace of recorded files: as recorded, as fast as it goes, or N times", {
    placeholder: "realtime|max|N",
    schema: speed,
  }),
  broker: texts(["mqtt://127.0.0.1:1883"], "the brokers, tried in turn", {
    placeholder: "URL",
    item: brokerUrl,
  }),
  dataDir: text("./.equipoise/agent", "where the buffer is kept", { placeholder: "DIR" }),
  once: flag(false, "end when the sources have ended and everything is acknowledged"),
  buffer: {
    maxBytes,
    whenFull: choice(["block"], "block", "what happens at that bound: the sources pause"),
    commitLatencyMs: integer(5, "how long a tick waits for others to share its commit", {
      min: 1,
      max: 1_000,
    }),
  },
  uplink: {
    window: integer(256, "most ticks in flight to the broker", { min: 1, max: 10_000 }),
    username: text<string | undefined>(undefined, "for the broker", { placeholder: "NAME" }),
    password: text<string | undefined>(undefined, "for the broker; better given as a variable", {
      secret: true,
    }),
    maxBackoffMs: integer(10_000, "longest pause between two attempts to connect", {
      min: 100,
      placeholder: "MS",
    }),
  },
  heartbeatMs: integer(5_000, "pause between two heartbeats", { min: 100, placeholder: "MS" }),
  shutdownTimeoutMs: integer(10_000, "longest time to stop in", { min: 100, placeholder: "MS" }),
  logLevel: choice(["trace", "debug", "info", "warn", "error"], "info", "what is logged"),
};

export type AgentConfig = Config<typeof settings>;

export const program: Program<typeof settings> = {
  name: "equipoise-agent",
  summary: "takes trade ticks from its sources, buffers them on disk and publishes them to a broker",
  settings,
  examples: [
    "equipoise-agent --source file:recording.txt.gz --speed max --once",
    "equipoise-agent --source binance:BTCUSDT,ETHUSDT --source kraken:BTC/USD",
    "my-feed | equipoise-agent --agent-id pi-7 --source stdin: --broker mqtts://gateway:8883",
  ],
};
