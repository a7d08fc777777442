import * as z from "zod";
import { brokerUrlFault, credentialsFault } from "../../broker-url.ts";
import { type Config, choice, integer, type Program, text, texts } from "../../config/index.ts";
import { filterFault } from "../../topics.ts";

/** Text that a function finds no fault with. */
function faultless(fault: (value: string) => string | undefined) {
  return z.string().superRefine((value, context) => {
    const message = fault(value);
    if (message !== undefined) context.addIssue({ code: "custom", message });
  });
}

const file = { placeholder: "FILE" };
const poolName = z.string().regex(/^[^/+#]{1,128}$/, "must be a name without / + #");

export const settings = {
  broker: texts(["mqtt://127.0.0.1:1883"], "address of a broker; several are tried in turn", {
    placeholder: "URL",
    item: faultless(brokerUrlFault),
  }),
  pool: text<string | undefined>(
    undefined,
    "the pool to join; without one every message is read and gaps are shown",
    {
      placeholder: "NAME",
      schema: poolName.optional(),
    },
  ),
  filter: text("ticks/#", "which topics", { placeholder: "FILTER", schema: faultless(filterFault) }),
  format: choice(
    ["auto", "table", "json"],
    "auto",
    "a live table, or one JSON object per line; auto is the table on a terminal and json elsewhere",
  ),
  workMs: integer(0, "how long each record is worked on, in ms; waits, and uses no CPU", { max: 3_600_000 }),
  concurrency: integer(1, "records worked on at once, in a pool", { min: 1, max: 10_000 }),
  holes: choice(
    ["resend", "report"],
    "resend",
    "without a pool: holes are fetched from the agent first, or only reported",
  ),
  count: integer(0, "end after so many records; 0 does not end"),
  weight: integer(1, "its weight in pools with the strategy weighted or key_affinity", {
    min: 1,
    max: 10_000,
  }),
  clientId: text<string | undefined>(undefined, "must be unique at the broker; random when not given", {
    placeholder: "ID",
    schema: z.string().min(1).max(128).optional(),
  }),
  username: text<string | undefined>(undefined, "for brokers that ask for one"),
  password: text<string | undefined>(undefined, "better given as a variable than as a flag", {
    secret: true,
  }),
  caFile: text<string | undefined>(undefined, "certificate authority in PEM, for mqtts and wss", file),
  certFile: text<string | undefined>(undefined, "this client's certificate in PEM", file),
  keyFile: text<string | undefined>(undefined, "its private key in PEM", file),
  shutdownTimeoutMs: integer(10_000, "longest time for finishing what was begun", { min: 100 }),
};

export type ConsumeConfig = Config<typeof settings>;

export const program: Program<typeof settings> = {
  name: "equipoise-consume",
  summary: "reads ticks as a member of a pool, or all of them",
  settings,
  fault: ({ broker, username, password }) => credentialsFault(broker, username, password),
  examples: [
    "equipoise-consume --pool pricing --filter 'ticks/binance/#' --concurrency 4",
    "equipoise-consume --filter ticks/kraken/# --format json | jq -r .price",
    "equipoise-consume --broker mqtts://a.example:8883 --broker mqtts://b.example:8883 --ca-file ca.pem --pool risk",
  ],
};
