/**
 * Loads a configuration: flag > environment > file > default, everything checked against one schema, unknown keys
 * refused, and for each value the place it came from.
 */
import { readFileSync } from "node:fs";
import { parse as parseYaml, YAMLParseError } from "yaml";
import type * as z from "zod";
import { withoutPasswords } from "../broker-url.ts";
import { EquipoiseError, reasonOf } from "../errors.ts";
import { allowedKeys, wording } from "./issue.ts";
import { type Config, isSetting, type Setting, type Settings } from "./setting.ts";
import { didYouMean } from "./suggestion.ts";

/** Of all variables. */
const prefix = "EQUIPOISE_";

/** Where a value came from, for people: `default`, `file /etc/x.yaml`, `EQUIPOISE_LISTEN`, `--listen`. */
export type Origin = string;

export interface FlatSetting {
  /** Dotted path, as in messages and `--print-config`. */
  key: string;
  path: string[];
  setting: Setting<unknown>;
  flag: string;
  variable: string;
}

export interface Loaded<S extends Settings> {
  config: Config<S>;
  origins: ReadonlyMap<string, Origin>;
  flat: readonly FlatSetting[];
  /** What was given and has no effect. */
  warnings: string[];
}

/** All settings with their flag and environment names; camel case becomes `--kebab-case` and `EQUIPOISE_SNAKE_CASE`. */
export function flatten(settings: Settings, path: string[] = []): FlatSetting[] {
  return Object.entries(settings).flatMap(([name, value]) => {
    const here = [...path, name];
    if (!isSetting(value)) return flatten(value, here);
    const words = here.flatMap((part) => part.split(/(?=[A-Z])/)).map((word) => word.toLowerCase());
    const variable = `${prefix}${words.join("_").toUpperCase()}`;
    return [{ key: here.join("."), path: here, setting: value, flag: words.join("-"), variable }];
  });
}

export interface Inputs {
  /** Flags as given, by name without the dashes; booleans as "true" or "false". */
  flags: ReadonlyMap<string, readonly string[]>;
  env: Readonly<Record<string, string | undefined>>;
  file: string | undefined;
}

/**
 * @throws EquipoiseError EQ_CONFIG_UNREADABLE, EQ_CONFIG_UNKNOWN_KEY, EQ_CONFIG_BAD_VALUE naming key, value, what is allowed
 */
export function loadConfig<S extends Settings>(settings: S, inputs: Inputs): Loaded<S> {
  const flat = flatten(settings);
  const fromFile = inputs.file === undefined ? new Map<string, unknown>() : readFile(inputs.file, settings);
  const origins = new Map<string, Origin>();
  const config: Record<string, unknown> = {};
  for (const item of flat) {
    const found = find(item, inputs, fromFile);
    origins.set(item.key, found.origin);
    put(
      config,
      item.path,
      found.origin === "default" ? found.value : checked(item, found.value, found.origin),
    );
  }
  return { config: config as Config<S>, origins, flat, warnings: strayVariables(flat, inputs.env) };
}

/** The environment is shared with others, so that a variable that means nothing here is no error. */
function strayVariables(flat: readonly FlatSetting[], env: Inputs["env"]): string[] {
  const known = [...flat.map(({ variable }) => variable), `${prefix}CONFIG`];
  const stray = Object.keys(env).filter((name) => name.startsWith(prefix) && !known.includes(name));
  return stray.map((name) => {
    const meant = didYouMean(name, known, prefix);
    return `the variable ${name} is no setting and has no effect${meant}`;
  });
}

function find(
  { key, setting, flag, variable }: FlatSetting,
  inputs: Inputs,
  fromFile: ReadonlyMap<string, unknown>,
) {
  const given = inputs.flags.get(flag);
  if (given !== undefined && given.length > 0) {
    const values = given.map((value) => setting.parse(value));
    return { origin: `--${flag}`, value: setting.repeatable ? values.flat() : values.at(-1) };
  }
  const fromEnv = inputs.env[variable];
  if (fromEnv !== undefined && fromEnv !== "") return { origin: variable, value: setting.parse(fromEnv) };
  if (fromFile.has(key)) return { origin: `file ${inputs.file}`, value: fromFile.get(key) };
  return { origin: "default", value: setting.default };
}

function checked({ key, setting }: FlatSetting, value: unknown, origin: Origin): unknown {
  const result = setting.schema.safeParse(value, { error: wording });
  if (result.success) return result.data;
  throw badValue(key, value, origin, result.error, setting);
}

function badValue(
  key: string,
  value: unknown,
  origin: Origin,
  error: z.ZodError,
  { secret, schema }: Setting<unknown>,
): EquipoiseError {
  // A misspelt key explains why another one is missing.
  const issue = error.issues.find(({ code }) => code === "unrecognized_keys") ?? error.issues[0];
  const path = [key, ...(issue?.path ?? []).map(String)].join(".");
  const at = (issue?.path ?? []).reduce<unknown>(
    (inner, part) => (inner as Record<PropertyKey, unknown>)?.[part],
    value,
  );
  const shown = secret ? "(hidden)" : (JSON.stringify(withoutPasswords(at)) ?? "missing");
  if (issue?.code === "unrecognized_keys") {
    const keys = issue.keys.map((name) => [path, name].join(".")).join(", ");
    const allowed = allowedKeys(schema, issue.path);
    const meant = didYouMean(issue.keys[0] ?? "", allowed ?? []);
    const here = allowed?.join(", ") ?? "no other keys";
    return new EquipoiseError(
      "EQ_CONFIG_UNKNOWN_KEY",
      `${keys}, from ${origin}${meant}; allowed here: ${here}`,
    );
  }
  const detail = `${path} is ${shown}, from ${origin}: ${issue?.message ?? "not allowed"}`;
  return new EquipoiseError("EQ_CONFIG_BAD_VALUE", detail);
}

function readFile(file: string, settings: Settings): Map<string, unknown> {
  const values = new Map<string, unknown>();
  collect(parseFile(file), settings, { path: [], file, all: settings }, values);
  return values;
}

function parseFile(file: string): unknown {
  try {
    return parseYaml(readFileSync(file, "utf8"));
  } catch (error) {
    const reason = error instanceof YAMLParseError ? (error.message.split("\n")[0] ?? "") : reasonOf(error);
    throw new EquipoiseError("EQ_CONFIG_UNREADABLE", `${file}: ${reason.replace(/:$/, "")}`, {
      cause: error,
    });
  }
}

interface Place {
  path: string[];
  file: string;
  /** All settings of the program. */
  all: Settings;
}

function collect(value: unknown, settings: Settings, place: Place, into: Map<string, unknown>): void {
  const { path, file } = place;
  // A group of which every key is commented out.
  if (value === null) return;
  if (typeof value !== "object" || Array.isArray(value)) {
    const where = path.length === 0 ? "the top level" : path.join(".");
    throw new EquipoiseError(
      "EQ_CONFIG_BAD_VALUE",
      `${where} of ${file} must be a mapping of keys to values`,
    );
  }
  for (const [name, inner] of Object.entries(value)) {
    const here = [...path, name];
    const known = Object.hasOwn(settings, name) ? settings[name] : undefined;
    if (known === undefined) throw unknownKey(here.join("."), settings, place);
    if (isSetting(known)) into.set(here.join("."), inner);
    else collect(inner, known, { ...place, path: here }, into);
  }
}

function unknownKey(key: string, settings: Settings, { file, all }: Place): EquipoiseError {
  const keys = flatten(all).map((item) => item.key);
  const allowed = Object.keys(settings).join(", ");
  const detail = `${key} in ${file}${didYouMean(key, keys)}; allowed here: ${allowed}`;
  return new EquipoiseError("EQ_CONFIG_UNKNOWN_KEY", detail);
}

function put(config: Record<string, unknown>, path: string[], value: unknown): void {
  let inner = config;
  for (const name of path.slice(0, -1)) {
    inner[name] ??= {};
    inner = inner[name] as Record<string, unknown>;
  }
  inner[path.at(-1) ?? ""] = value;
}
