/** One setting: how its text is read, what values it allows, its default and its documentation, all in one place. */
import * as z from "zod";

const settingMark = Symbol("setting");

export interface Setting<T> {
  readonly [settingMark]: true;
  readonly schema: z.ZodType<T>;
  readonly default: T;
  readonly doc: string;
  /** What `--help` shows behind the flag; absent for booleans, whose flag stands alone. */
  readonly placeholder: string | undefined;
  /** The flag may be given several times and the values make a list. */
  readonly repeatable: boolean;
  /** Never printed. */
  readonly secret: boolean;
  /** From a flag or an environment variable. Returns the text itself where it cannot be read, for the schema to refuse. */
  readonly parse: (text: string) => unknown;
}

/** Settings by name, in groups as deep as the file is nested. */
export interface Settings {
  readonly [name: string]: Setting<unknown> | Settings;
}

/** The typed result of loading {@link Settings}. */
export type Config<S extends Settings> = {
  readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : S[K] extends Settings ? Config<S[K]> : never;
};

export function isSetting(value: Setting<unknown> | Settings): value is Setting<unknown> {
  return settingMark in value;
}

interface Options {
  placeholder?: string;
  secret?: boolean;
}

function make<T>(
  schema: z.ZodType<T>,
  fallback: T,
  doc: string,
  parse: Setting<T>["parse"],
  options: Options & { repeatable?: boolean },
): Setting<T> {
  const { placeholder, secret = false, repeatable = false } = options;
  return { [settingMark]: true, schema, default: fallback, doc, placeholder, repeatable, secret, parse };
}

const asIs = (text: string): unknown => text;
const asNumber = (text: string): unknown =>
  text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);
const asBoolean = (text: string): unknown =>
  ({ true: true, false: false, "1": true, "0": false })[text] ?? text;

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

const byteUnits: Readonly<Record<string, number>> = {
  B: 1,
  kB: 1e3,
  MB: 1e6,
  GB: 1e9,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};

/** A number of bytes: an integer, or text such as `64MiB`. */
export const byteCount = z.preprocess(
  readBytes,
  z.int("must be a number of bytes such as 1048576 or 1MiB").min(0),
);

function readBytes(value: unknown): unknown {
  if (typeof value !== "string") return value;
  const match = /^(\d+(?:\.\d+)?)\s*(B|kB|MB|GB|KiB|MiB|GiB|TiB)?$/.exec(value.trim());
  if (match === null) return value;
  return Math.round(Number(match[1]) * (byteUnits[match[2] ?? "B"] ?? 1));
}

/** Text. `undefined` as default means: not set. */
export function text<T extends string | undefined = string>(
  fallback: T,
  doc: string,
  options: Options & { schema?: z.ZodType<T> } = {},
): Setting<T> {
  const schema = options.schema ?? (z.string().min(1) as unknown as z.ZodType<T>);
  return make<T>(schema, fallback, doc, asIs, { placeholder: "TEXT", ...options });
}

export function choice<const T extends string>(
  values: readonly [T, ...T[]],
  fallback: NoInfer<T>,
  doc: string,
): Setting<T> {
  return make<T>(z.enum(values) as z.ZodType<T>, fallback, doc, asIs, { placeholder: values.join("|") });
}

export function integer(
  fallback: number,
  doc: string,
  range: { min?: number; max?: number; placeholder?: string } = {},
): Setting<number> {
  const { min = 0, max = Number.MAX_SAFE_INTEGER, placeholder = "N" } = range;
  const upTo = max === Number.MAX_SAFE_INTEGER ? "" : ` to ${max}`;
  const form = `must be an integer from ${min}${upTo}`;
  return make(z.int(form).min(min, form).max(max, form), fallback, doc, asNumber, { placeholder });
}

export function bytes(fallback: number, doc: string, range: { min?: number } = {}): Setting<number> {
  const { min = 0 } = range;
  const schema = byteCount.refine((value) => (value as number) >= min, `must be at least ${min} bytes`);
  return make<number>(schema as z.ZodType<number>, fallback, doc, asIs, { placeholder: "BYTES" });
}

export function flag(fallback: boolean, doc: string): Setting<boolean> {
  return make(z.boolean(), fallback, doc, asBoolean, {});
}

/** A list of texts; the flag is repeated, the environment variable is separated by spaces or commas. */
export function texts(
  fallback: string[],
  doc: string,
  options: Options & { item?: z.ZodType<string> } = {},
): Setting<string[]> {
  const schema = z.array(options.item ?? z.string().min(1)) as z.ZodType<string[]>;
  const split = (value: string): unknown => value.split(/[\s,]+/).filter((part) => part !== "");
  return make(schema, fallback, doc, split, { placeholder: "TEXT", ...options, repeatable: true });
}

/** A structured value: YAML in the file, JSON in flag and environment. */
export function structure<T>(schema: z.ZodType<T>, fallback: T, doc: string): Setting<T> {
  return make(schema, fallback, doc, asJson, { placeholder: "JSON" });
}
