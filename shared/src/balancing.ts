/**
 * Rules of a pool's balancing as they are kept and exchanged: `LoadBalancingConfiguration` of
 * shared/proto/load_balancing.proto as proto3 JSON or binary, and the same in the product's own words.
 */
import { create, fromBinary, fromJsonString, type Message, toBinary, toJsonString } from "@bufbuild/protobuf";
import * as z from "zod";
import { EquipoiseError, reasonOf } from "./errors.ts";
import { limits } from "./limits.ts";
import {
  Instance_Health as Health,
  type LoadBalancingConfiguration,
  LoadBalancingConfigurationSchema,
  LoadBalancingConfiguration_Strategy as Strategy,
} from "./proto/load_balancing_pb.ts";

export const balancingFormats = ["json", "binary"] as const;
export type BalancingFormat = (typeof balancingFormats)[number];

export type BalancingStrategy = Lowercase<Exclude<keyof typeof Strategy, "STRATEGY_UNSPECIFIED">>;
export type BalancingHealth = Exclude<keyof typeof Health, "HEALTH_UNSPECIFIED">;

/** What is said of one member; what is absent stays as it is. */
export interface MemberRules {
  clientId: string;
  /** From 0. */
  weight?: number;
  /** HEALTHY leaves it to the pool's checker. */
  health?: BalancingHealth;
}

/** What is said of one pool; what is absent stays as it is. */
export interface BalancingRules {
  pool: string;
  strategy?: BalancingStrategy;
  members: MemberRules[];
}

const idForm = `must have 1 to ${limits.maxIdLength} characters`;
const id = z.string().min(1, idForm).max(limits.maxIdLength, idForm);
const weightForm = `must be a number from 0 to ${limits.maxWeight}`;
const instance = z.object({
  instanceId: id,
  weight: z.number(weightForm).min(0, weightForm).max(limits.maxWeight, weightForm).optional(),
  health: numberOf(Health),
});
/** Part of a reason that is shown: it may quote the whole content. */
const shownLength = 300;
const configuration = z.object({
  serviceName: id.regex(/^[^+#/]+$/, "must not contain + # /"),
  strategy: numberOf(Strategy),
  instances: z
    .array(instance)
    .max(limits.maxBalancingInstances, `must be at most ${limits.maxBalancingInstances}`)
    .refine(
      (all) => new Set(all.map((one) => one.instanceId)).size === all.length,
      "each instanceId must differ",
    ),
});

/** JSON begins with a brace; no rules in binary do, because it would be the tag of a field that there is not. */
export function balancingFormatOf(content: Uint8Array): BalancingFormat {
  return content[0] === 0x7b ? "json" : "binary";
}

/**
 * Reads rules; fields that the schema does not have are refused.
 * @param content at most `limits.maxBalancingBytes`
 * @throws EquipoiseError EQ_CONFIG_BALANCING
 */
export function decodeBalancing(content: Uint8Array, format = balancingFormatOf(content)): BalancingRules {
  requireSize(content);
  const message = attempt(() => (format === "json" ? messageOfJson(content) : messageOfBinary(content)));
  requireAllowed(message);
  const { serviceName, strategy, instances } = message;
  const named = lowerCase(nameOf(Strategy, strategy));
  return {
    pool: serviceName,
    ...(named === "strategy_unspecified" ? {} : { strategy: named }),
    members: instances.map(({ instanceId, weight, health: number }) => {
      const health = nameOf(Health, number);
      return {
        clientId: instanceId,
        ...(weight === undefined ? {} : { weight }),
        ...(health === "HEALTH_UNSPECIFIED" ? {} : { health }),
      };
    }),
  };
}

/**
 * Writes rules, JSON as indented lines.
 * @throws EquipoiseError EQ_CONFIG_BALANCING when they could not be read again
 */
export function encodeBalancing(
  { pool, strategy, members }: BalancingRules,
  format: BalancingFormat,
): Uint8Array {
  const message = create(LoadBalancingConfigurationSchema, {
    serviceName: pool,
    strategy: strategy === undefined ? Strategy.STRATEGY_UNSPECIFIED : Strategy[upperCase(strategy)],
    instances: members.map(({ clientId: instanceId, weight, health }) => ({
      instanceId,
      ...(weight === undefined ? {} : { weight }),
      health: Health[health ?? "HEALTH_UNSPECIFIED"],
    })),
  });
  requireAllowed(message);
  const json = () => `${toJsonString(LoadBalancingConfigurationSchema, message, { prettySpaces: 2 })}\n`;
  const content = attempt(() =>
    format === "json" ? Buffer.from(json()) : toBinary(LoadBalancingConfigurationSchema, message),
  );
  requireSize(content);
  return content;
}

function messageOfJson(content: Uint8Array): LoadBalancingConfiguration {
  const text = new TextDecoder("utf-8", { fatal: true }).decode(content);
  return fromJsonString(LoadBalancingConfigurationSchema, text);
}

/** A reader of Protobuf keeps what it does not know; here it would be a rule that does not hold. */
function messageOfBinary(content: Uint8Array): LoadBalancingConfiguration {
  const message = fromBinary(LoadBalancingConfigurationSchema, content);
  for (const part of [message, ...message.instances] as Message[]) {
    const [unknown] = part.$unknown ?? [];
    if (unknown !== undefined) throw refused(`${part.$typeName} has no field with the number ${unknown.no}`);
  }
  return message;
}

function attempt<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof EquipoiseError) throw error;
    throw refused(reasonOf(error), error);
  }
}

function requireAllowed(message: LoadBalancingConfiguration): void {
  const { error } = configuration.safeParse(message);
  const [issue] = error?.issues ?? [];
  if (issue !== undefined) throw refused(`${z.core.toDotPath(issue.path)}: ${issue.message}`);
}

function requireSize({ length }: Uint8Array): void {
  if (length > limits.maxBalancingBytes) throw refused(`more than ${limits.maxBalancingBytes} bytes`);
}

function refused(detail: string, cause?: unknown): EquipoiseError {
  return new EquipoiseError("EQ_CONFIG_BALANCING", detail.slice(0, shownLength), { cause });
}

/** A number that the enum has a name for: Protobuf's readers pass others on. */
function numberOf(values: Readonly<Record<string, number>>): z.ZodType<number> {
  const known = Object.values(values);
  return z.number().refine((value) => known.includes(value), {
    error: ({ input }) => `there is no value ${input}`,
  });
}

/** @param value one of the enum's, which `requireAllowed` has made sure of */
function nameOf<E extends Readonly<Record<string, number>>>(values: E, value: number): keyof E {
  return Object.keys(values).find((name) => values[name] === value) as keyof E;
}

const lowerCase = <T extends string>(text: T) => text.toLowerCase() as Lowercase<T>;
const upperCase = <T extends string>(text: T) => text.toUpperCase() as Uppercase<T>;
