/** Every setting of the broker, with its default and its documentation. */
import { hostname } from "node:os";
import {
  byteCount,
  bytes,
  type Config,
  choice,
  filterFault,
  flag,
  httpAddress,
  integer,
  limits,
  type Program,
  structure,
  text,
  texts,
} from "@equipoise/shared";
import * as z from "zod";
import { engineAddress } from "./cluster/address.ts";
import { commands } from "./commands/index.ts";
import { healthCheckerNames } from "./health/index.ts";
import { schemes } from "./listener/index.ts";
import { strategyNames } from "./strategy/index.ts";

const listenUrl = z
  .string()
  .refine(isListenUrl, "must be mqtt://HOST:PORT, or the same with mqtts, ws or wss");

function isListenUrl(value: string): boolean {
  if (!URL.canParse(value)) return false;
  const { protocol, hostname: host, pathname } = new URL(value);
  return schemes.includes(protocol) && host !== "" && (pathname === "" || pathname === "/");
}

const id = z.string().min(1).max(limits.maxIdLength);
const poolName = id.regex(/^[^+#/]+$/, "must not contain + # /");
const filter = z.string().refine((value) => filterFault(value) === undefined, "must be a topic filter");

const redisUrl = z
  .string()
  .refine(
    (value) => engineAddress(value) !== undefined,
    "must be redis://HOST:PORT, rediss://HOST:PORT or redis+sentinel://HOST:PORT,HOST:PORT/NAME",
  );
const clusterName = z.string().regex(/^[\w.-]{1,64}$/, "must be letters, digits, dots, dashes");

const gibibyte = 2 ** 30;
const mebibyte = 2 ** 20;

/** What a rule may say of pools, and a pool of itself; defaults are in pool/policy.ts. */
const balancing = {
  strategy: z.enum(strategyNames).optional(),
  health: z.enum(healthCheckerNames).optional(),
  weights: z.record(z.string().min(1), z.number().min(0).max(limits.maxWeight)).optional(),
  ordering: z.enum(["none", "key"]).optional(),
  key: z.string().min(1).max(limits.maxIdLength).optional(),
  ackTimeoutMs: z.int().min(1).optional(),
  maxDeliveries: z.int().min(1).optional(),
  fallback: z.strictObject({ pool: poolName, afterMs: z.int().min(0).default(5_000) }).optional(),
};
const rule = z
  .strictObject({
    pools: z.array(z.string().min(1)).min(1).optional(),
    topics: z.array(filter).min(1).optional(),
    ...balancing,
  })
  .refine(({ pools, topics }) => pools !== undefined || topics !== undefined, "needs pools or topics");

const pool = z.strictObject({
  name: poolName,
  filters: z.array(filter).min(1),
  ...balancing,
  maxBacklogBytes: byteCount.default(gibibyte) as z.ZodType<number>,
  whenFull: z.enum(["backpressure", "dropOldest", "reject"]).default("backpressure"),
  retainWhenEmptyMs: z.int().min(0).default(604_800_000),
});
const uniquePools = z
  .array(pool)
  .refine((pools) => new Set(pools.map(({ name }) => name)).size === pools.length, "pool names must differ");

const file = { placeholder: "FILE", schema: z.string().min(1).optional() };

export const settings = {
  brokerId: text(hostname(), "name of this broker, in its heartbeat topic", {
    placeholder: "ID",
    schema: id,
  }),
  listen: texts(["mqtt://127.0.0.1:1883"], "address to listen on; port 0 takes a free one", {
    placeholder: "URL",
    item: listenUrl,
  }),
  http: text<string | undefined>(undefined, "address of /metrics, /healthz and /readyz; off by default", {
    placeholder: "HOST:PORT",
    schema: httpAddress.optional(),
  }),
  dataDir: text("./.equipoise/broker", "directory for the journal", { placeholder: "DIR" }),
  control: text<string | undefined>(
    undefined,
    "control socket for the commands (default: in the data directory)",
    {
      ...file,
      placeholder: "PATH",
    },
  ),
  durability: choice(
    ["disk", "memory", "cluster"],
    "disk",
    "what an acknowledged message survives: memory means nothing, cluster the loss of a broker",
  ),
  redis: text<string | undefined>(undefined, "the engine of --durability cluster, as redis://HOST:PORT", {
    placeholder: "URL",
    schema: redisUrl.optional(),
    // It may hold a password.
    secret: true,
  }),
  cluster: {
    name: text("default", "brokers with the same Redis and the same name are one cluster", {
      placeholder: "NAME",
      schema: clusterName,
    }),
    minReplicas: integer(0, "replicas of Redis that must have a message before it is acknowledged"),
    caFile: text<string | undefined>(undefined, "authorities of Redis' certificate, PEM; implies TLS", file),
    sentinelPassword: text<string | undefined>(undefined, "of the Sentinels; better given as a variable", {
      secret: true,
    }),
  },
  allowAnonymous: flag(false, "accept clients without a user; implied while every listener is on loopback"),
  usersFile: text<string | undefined>(undefined, "who may connect and do what; denies all else", file),
  auth: {
    maxFailures: integer(10, "failed attempts of one address before it is refused; 0 refuses nobody"),
    windowMs: integer(60_000, "time over which failed attempts count", { min: 1 }),
  },
  tls: {
    certFile: text<string | undefined>(undefined, "certificate for mqtts:// and wss://, PEM", file),
    keyFile: text<string | undefined>(undefined, "its private key, PEM", file),
    caFile: text<string | undefined>(undefined, "authorities of client certificates, PEM", file),
    requireClientCert: flag(false, "refuse clients without a certificate; its common name is the user name"),
  },
  webSocket: {
    allowedOrigins: texts([], "web pages that may connect, as https://HOST, or *", { placeholder: "ORIGIN" }),
  },
  pools: structure(
    uniquePools,
    [],
    "declared pools: they exist from the start and may push back on publishers",
  ),
  routing: structure(z.array(rule).max(1_000), [], "rules: how pools of a name or a topic are balanced"),
  balancingFiles: texts([], "balancing rules of pools, Protobuf as JSON or binary; read again on SIGHUP", {
    placeholder: "FILE",
  }),
  undeclaredPools: {
    allow: flag(true, "a subscription to $share/NAME/FILTER makes the pool NAME"),
    maxBacklogBytes: bytes(
      64 * mebibyte,
      "bound of an undeclared pool's backlog; the oldest messages are dropped",
    ),
    removeAfterMs: integer(300_000, "an undeclared pool goes this long after its last member"),
    strategy: choice(strategyNames, "performance_based", "who gets a message in undeclared pools"),
    health: choice(healthCheckerNames, "advanced", "how the health of their members is judged"),
    ackTimeoutMs: integer(30_000, "a member that holds a message this long has failed it", { min: 1 }),
    maxDeliveries: integer(5, "failed attempts after which a message is a dead letter", { min: 1 }),
  },
  limits: {
    maxDeadLetters: integer(10_000, "dead letters kept of one pool; the oldest go first"),
    maxPools: integer(1_024, "most pools, declared or not", { min: 1 }),
    maxConnections: integer(10_000, "most connections", { min: 1 }),
    maxConnectionsPerAddress: integer(1_000, "most connections from one address", { min: 1 }),
    maxPacketBytes: bytes(mebibyte, "largest MQTT packet"),
    maxOutputBytes: bytes(
      mebibyte,
      "output gathered for one connection before nothing more is taken for it",
      {
        min: 65_536,
      },
    ),
    maxInboundInFlight: integer(4_096, "unacknowledged PUBLISHes of one client before it is not read", {
      min: 1,
    }),
    maxHeldBytes: bytes(
      8 * mebibyte,
      "PUBLISHes of one client for a full pool before it is not read; at twice that it is closed",
    ),
    maxSubscriptions: integer(10_000, "subscriptions of one session; more are answered with 0x80", {
      min: 1,
    }),
    connectTimeoutMs: integer(10_000, "time for a new connection to send CONNECT", { min: 1 }),
    maxInFlight: integer(8_192, "messages that one client may hold unacknowledged", { min: 1, max: 65_535 }),
    maxQueueBytes: bytes(16 * mebibyte, "queue of a plain subscriber; the oldest messages are dropped"),
    maxOfflineSessions: integer(10_000, "sessions that wait for their client"),
    sessionExpireAfterMs: integer(604_800_000, "a session whose client stays away this long ends"),
    maxRetainedBytes: bytes(64 * mebibyte, "retained messages"),
    maxHotBytes: bytes(8 * mebibyte, "part of a pool's backlog kept in memory when the rest is on disk"),
  },
  heartbeatPeriodMs: integer(1_000, "period of the broker's own heartbeat", { min: 100 }),
  shutdownTimeoutMs: integer(10_000, "longest time from SIGTERM to the end", { min: 1 }),
  logLevel: choice(["debug", "info", "warn", "error", "silent"], "info", "least level that is logged"),
};

export type BrokerConfig = Config<typeof settings>;

export const program: Program<typeof settings> = {
  name: "equipoise-broker",
  summary: "an MQTT broker that balances topics over pools of subscribers",
  settings,
  commands,
  examples: [
    "equipoise-broker --listen mqtt://127.0.0.1:1883 --data-dir ./broker-data",
    "equipoise-broker --durability memory --listen mqtt://127.0.0.1:0",
    "equipoise-broker --config broker.yaml --print-config",
    "equipoise-broker users add pi-7 --role agent --users-file users.yaml",
    "equipoise-broker pools --watch --data-dir ./broker-data",
    "equipoise-broker balancing show pricing --data-dir ./broker-data",
    "equipoise-broker certs server --host gateway.local --dir certs",
  ],
};
