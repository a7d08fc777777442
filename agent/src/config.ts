/** The agent's settings. */
import { hostname } from "node:os";
import {
  brokerUrlFault,
  byteCount,
  bytes,
  type Config,
  choice,
  credentialsFault,
  flag,
  httpAddress,
  integer,
  limits,
  type Program,
  type Setting,
  text,
  texts,
} from "@equipoise/shared";
import * as z from "zod";
import { commands } from "./commands/index.ts";
import { type MethodName, methodNames } from "./requests/methods.ts";
import { parseSourceSpec, sourceForms } from "./source/spec.ts";
import { payloadForms } from "./uplink/payload.ts";

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
  const fault = brokerUrlFault(url);
  if (fault !== undefined) context.addIssue(fault);
});
const file = { placeholder: "FILE" };

const speedForm = "must be realtime, max or a positive number";
const speed = z
  .union([z.string(), z.number()], speedForm)
  .transform(String)
  .pipe(z.string().regex(/^(realtime|max|(?=.*[1-9])\d+(\.\d+)?)$/, speedForm));
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
  broker: texts(
    ["mqtt://127.0.0.1:1883"],
    "a broker; with several the agent chooses, and moves when another one is clearly better",
    {
      placeholder: "URL",
      item: brokerUrl,
    },
  ),
  dataDir: text("./.equipoise/agent", "where the buffer is kept", { placeholder: "DIR" }),
  once: flag(false, "end when the sources have ended and everything is acknowledged"),
  buffer: {
    maxBytes,
    maxAgeMs: integer(604_800_000, "ticks that have waited longer are given up", {
      min: 1_000,
      placeholder: "MS",
    }),
    minFreeDiskBytes: bytes(64 * 2 ** 20, "so much of the disk is left free; 0 takes it all"),
    whenFull: choice(
      ["block", "dropOldest", "dropNewest"],
      "block",
      "what happens at a bound: the sources pause, or ticks are given up",
    ),
    commitLatencyMs: integer(1_000, "how long a tick that is not acknowledged may be in memory alone", {
      min: 1,
      max: 10_000,
    }),
    drain: choice(
      ["oldestFirst", "newestFirst"],
      "oldestFirst",
      "what waited through an outage goes out in this order",
    ),
    keepAcknowledgedMs: integer(600_000, "how long acknowledged ticks can be asked for again", {
      min: 0,
      placeholder: "MS",
    }),
    keepAcknowledgedBytes: bytes(64 * 2 ** 20, "most bytes of them on disk, compressed"),
    setAsideFiles: integer(8, "how many damaged databases that were set aside stay; the oldest go", {
      min: 0,
    }),
    setAsideBytes: bytes(2 ** 30, "most bytes of them, beside the newest"),
  },
  uplink: {
    window: integer(256, "most messages in flight to the broker; fewer while it acknowledges late", {
      min: 1,
      max: 10_000,
    }),
    lingerMs: integer(
      0,
      "how long a tick waits for others of its stream to share a message; 0 is not at all",
      {
        max: 60_000,
        placeholder: "MS",
      },
    ),
    maxBatch: integer(100, "most ticks in one message, with lingerMs", {
      min: 1,
      max: limits.maxBatchRecords,
    }),
    payload: choice(
      payloadForms,
      "json",
      "the form of ticks on the way; protobuf takes 14 to 42 % of the bytes",
    ),
    caFile: text<string | undefined>(undefined, "authority of the broker's certificate, PEM", file),
    certFile: text<string | undefined>(undefined, "this agent's certificate, PEM", file),
    keyFile: text<string | undefined>(undefined, "its private key, PEM", file),
    username: text<string | undefined>(undefined, "for the broker", { placeholder: "NAME" }),
    password: text<string | undefined>(undefined, "for the broker; better given as a variable", {
      secret: true,
    }),
    keepaliveS: integer(15, "seconds; a broker that is silent for 1.2 times that is left", {
      min: 1,
      max: 3_600,
      placeholder: "S",
    }),
    ackTimeoutMs: integer(900_000, "a broker that acknowledges nothing for so long is left", {
      min: 1_000,
      placeholder: "MS",
    }),
    maxBackoffMs: integer(10_000, "longest pause between two attempts to connect", {
      min: 100,
      placeholder: "MS",
    }),
  },
  requests: {
    allow: texts([...methodNames], "which requests over MQTT are answered", {
      placeholder: "METHOD",
      item: z.enum(methodNames),
    }) as Setting<MethodName[]>,
    maxPerSecond: integer(50, "requests in a second; more are refused", { min: 1, max: 1_000 }),
  },
  http: text<string | undefined>(undefined, "address of /metrics, /healthz and /readyz; off by default", {
    placeholder: "HOST:PORT",
    schema: httpAddress.optional(),
  }),
  control: text<string | undefined>(
    undefined,
    "control socket for the commands (default: in the data directory)",
    { placeholder: "PATH" },
  ),
  heartbeatMs: integer(5_000, "pause between two heartbeats", { min: 100, placeholder: "MS" }),
  progressPeriodMs: integer(
    60_000,
    "pause between two lines of progress in the log; without progress there is none",
    {
      min: 100,
      placeholder: "MS",
    },
  ),
  shutdownTimeoutMs: integer(10_000, "longest time to stop in", { min: 100, placeholder: "MS" }),
  logLevel: choice(["trace", "debug", "info", "warn", "error"], "info", "what is logged"),
};

export type AgentConfig = Config<typeof settings>;

export const program: Program<typeof settings> = {
  name: "equipoise-agent",
  summary: "takes trade ticks from its sources, buffers them on disk and publishes them to a broker",
  settings,
  commands,
  fault: ({ broker, uplink: { username, password } }) => credentialsFault(broker, username, password),
  examples: [
    "equipoise-agent --source file:recording.txt.gz --speed max --once",
    "equipoise-agent --source binance:BTCUSDT,ETHUSDT --source kraken:BTC/USD",
    "equipoise-agent doctor --broker mqtts://gateway:8883",
    "my-feed | equipoise-agent --agent-id pi-7 --source stdin: --broker mqtts://gateway:8883",
  ],
};
