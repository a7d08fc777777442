/** What the engine knows of a queue beside its messages, as any version of the broker has written it. */
import * as z from "zod";
import { healthCheckerNames } from "../health/index.ts";
import type { DeclaredPool } from "../pool/policy.ts";
import { strategyNames } from "../strategy/index.ts";

export interface QueueRecord {
  /** The declaration of its pool, if this filter is declared. */
  declared: DeclaredPool | null;
  dropAtBytes: number | null;
}

const gibibyte = 2 ** 30;
const weekMs = 604_800_000;

/** What a newer version says that this one does not know is as if it were not said: the pool is declared all the same. */
const declared = z.object({
  name: z.string(),
  filters: z.array(z.string()),
  strategy: z.enum(strategyNames).optional().catch(undefined),
  health: z.enum(healthCheckerNames).optional().catch(undefined),
  weights: z.record(z.string(), z.number()).optional().catch(undefined),
  ordering: z.enum(["none", "key"]).optional().catch(undefined),
  key: z.string().optional().catch(undefined),
  ackTimeoutMs: z.int().min(1).optional().catch(undefined),
  maxDeliveries: z.int().min(1).optional().catch(undefined),
  fallback: z.object({ pool: z.string(), afterMs: z.number() }).optional().catch(undefined),
  maxBacklogBytes: z.number().catch(gibibyte),
  whenFull: z.enum(["backpressure", "dropOldest", "reject"]).catch("backpressure"),
  retainWhenEmptyMs: z.number().catch(weekMs),
});
const record = z.object({
  declared: declared.nullable().catch(null),
  dropAtBytes: z.number().nullable().catch(null),
});

/** Reads a record; `undefined` when it is none. */
export function readQueueRecord(text: string): QueueRecord | undefined {
  try {
    return record.safeParse(JSON.parse(text)).data;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
