/** The command line of every Equipoise program: flags from the settings, `--help`, `--version`, `--print-config`. */
import { parseArgs } from "node:util";
import { stringify } from "yaml";
import { withoutPasswords } from "../broker-url.ts";
import { folded, foldedHelp, helpColumns } from "../command/fold.ts";
import type { Commands } from "../command/run.ts";
import { EquipoiseError, reasonOf } from "../errors.ts";
import { version } from "../version.ts";
import { type FlatSetting, flatten, type Loaded, loadConfig } from "./load.ts";
import type { Config, Settings } from "./setting.ts";
import { didYouMean } from "./suggestion.ts";

export interface Program<S extends Settings> {
  name: string;
  /** One line that says what it does. */
  summary: string;
  settings: S;
  /** What it does instead of running, when its name comes first. */
  commands?: Commands;
  /** What is wrong with settings that are each in order, or `undefined`. */
  fault?: (config: Config<S>) => string | undefined;
  /** Full command lines for the end of `--help`. */
  examples: readonly string[];
}

/** Either a configuration to run with, or text to print before ending with exit code 0. */
export type CommandLine<S extends Settings> =
  | {
      config: Config<S>;
      /** For people: what was given and has no effect. */
      warnings: string[];
    }
  | { print: string };

/**
 * Reads a command line.
 * @throws EquipoiseError EQ_USAGE for flags that do not exist; whatever {@link loadConfig} throws
 */
export function readCommandLine<S extends Settings>(
  program: Program<S>,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): CommandLine<S> {
  const flat = flatten(program.settings);
  const names = { name: program.name, commands: Object.keys(program.commands ?? {}) };
  const { values, flags } = parseFlags(args, flat, names);
  if (values.help === true) return { print: helpOf(program, flat) };
  if (values.version === true) return { print: `${program.name} ${version}\n` };
  const file = typeof values.config === "string" ? values.config : env.EQUIPOISE_CONFIG || undefined;
  const loaded = loadConfig(program.settings, { flags, env, file });
  const fault = program.fault?.(loaded.config);
  if (fault !== undefined) throw new EquipoiseError("EQ_CONFIG_BAD_VALUE", fault);
  if (values["print-config"] === true) return { print: printConfig(loaded) };
  return { config: loaded.config, warnings: loaded.warnings };
}

type Flags = Record<string, { type: "string" | "boolean"; multiple?: boolean; short?: string }>;

interface Names {
  name: string;
  commands: readonly string[];
}

function parseFlags(args: readonly string[], flat: readonly FlatSetting[], { name, commands }: Names) {
  const options: Flags = {
    help: { type: "boolean", short: "h" },
    version: { type: "boolean" },
    config: { type: "string" },
    "print-config": { type: "boolean" },
  };
  for (const { flag, setting } of flat) {
    options[flag] =
      setting.placeholder === undefined ? { type: "boolean" } : { type: "string", multiple: true };
  }
  const { values } = parse(withNegatives(args, options), options, { name, commands });
  const flags = new Map<string, string[]>();
  for (const { flag } of flat) {
    const value = values[flag];
    if (typeof value === "boolean") flags.set(flag, [String(value)]);
    if (Array.isArray(value)) flags.set(flag, value.map(String));
  }
  return { values, flags };
}

/** A negative number is a value, which its setting refuses in its own words, and no flag. */
function withNegatives(args: readonly string[], options: Flags): string[] {
  const joined: string[] = [];
  for (const arg of args) {
    const before = joined.at(-1) ?? "";
    const takesValue = options[before.replace(/^--/, "")]?.type === "string" && before.startsWith("--");
    if (takesValue && /^-\d/.test(arg)) joined[joined.length - 1] = `${before}=${arg}`;
    else joined.push(arg);
  }
  return joined;
}

function parse(args: readonly string[], options: Flags, names: Names) {
  try {
    return parseArgs({ args: [...args], options, allowNegative: true, strict: true });
  } catch (error) {
    const reason = (reasonOf(error).split(". ")[0] ?? "bad flags").replace(
      "argument is ambiguous",
      "needs a value; one that begins with a dash is written behind =",
    );
    throw new EquipoiseError("EQ_USAGE", `${reason}${meantBy(reason, Object.keys(options), names)}`, {
      cause: error,
    });
  }
}

function meantBy(reason: string, flags: readonly string[], { name, commands }: Names): string {
  const [, flag] = /^Unknown option '(--[^']*)'$/.exec(reason) ?? [];
  if (flag !== undefined) {
    const known = flags.map((name) => `--${name}`);
    return didYouMean(flag, known, "--");
  }
  const [, argument] = /^Unexpected argument '([^']*)'$/.exec(reason) ?? [];
  if (argument === undefined) return "";
  if (!commands.includes(argument)) return didYouMean(argument, commands);
  return `: a command comes first, as in ${name} ${argument} --help`;
}

function helpOf<S extends Settings>(program: Program<S>, flat: readonly FlatSetting[]): string {
  const rows = [
    ...flat.map((item) => ({ head: headOf(item), doc: docOf(item) })),
    { head: "--config FILE", doc: "YAML file with the same settings (EQUIPOISE_CONFIG)" },
    { head: "--print-config", doc: "show every value and where it came from, then end" },
    { head: "--version", doc: "show the version, then end" },
    { head: "-h, --help", doc: "show this text, then end" },
  ];
  const width = Math.min(34, Math.max(...rows.map(({ head }) => head.length)));
  const lines = rows.flatMap(({ head, doc }) => row(head, doc, width));
  const examples = program.examples.map((line) => folded(`  ${line}`, 6, helpColumns() - 2).join(" \\\n"));
  const commands = commandsOf(program);
  const precedence =
    "Every flag is also a key of the file and a variable EQUIPOISE_…; flag > variable > file > default.";
  const head = `${program.name}: ${program.summary}\n\nUsage: ${program.name} [OPTION …]\n${commands}`;
  return foldedHelp(`${head}\n${lines.join("\n")}\n\n${precedence}\n\nExamples:\n${examples.join("\n")}\n`);
}

function commandsOf<S extends Settings>({ name, commands }: Program<S>): string {
  const entries = Object.entries(commands ?? {});
  if (entries.length === 0) return "";
  const width = Math.max(...entries.map(([command]) => command.length));
  const lines = entries.map(([command, { summary }]) => `  ${command.padEnd(width + 2)}${summary}\n`);
  return `       ${name} COMMAND …\n\nCommands, each with a --help of its own:\n\n${lines.join("")}`;
}

function headOf({ flag, setting }: FlatSetting): string {
  return setting.placeholder === undefined ? `--${flag}` : `--${flag} ${setting.placeholder}`;
}

function docOf({ setting }: FlatSetting): string {
  const notes = setting.repeatable ? ["repeatable"] : [];
  const fallback = setting.default;
  const shown =
    fallback !== undefined && fallback !== false && !(Array.isArray(fallback) && fallback.length === 0);
  if (shown) notes.push(`default ${showDefault(fallback)}`);
  return notes.length === 0 ? setting.doc : `${setting.doc} (${notes.join("; ")})`;
}

function showDefault(fallback: unknown): string {
  if (Array.isArray(fallback) && fallback.every((item) => typeof item === "string"))
    return fallback.join(", ");
  return typeof fallback === "object" ? JSON.stringify(fallback) : String(fallback);
}

function row(head: string, doc: string, width: number): string[] {
  const hang = width + 4;
  if (head.length > width) return [`  ${head}`, `${" ".repeat(hang)}${doc}`];
  return [`  ${head.padEnd(width + 2)}${doc}`];
}

/** YAML that can be used as a file, each value with its origin as a comment. */
function printConfig<S extends Settings>({ config, origins, flat, warnings }: Loaded<S>): string {
  const lines = warnings.map((warning) => `# ${warning}`);
  let group: readonly string[] = [];
  for (const { key, path, setting } of flat) {
    const parents = path.slice(0, -1);
    for (const [depth, name] of parents.entries()) {
      if (group[depth] !== name) lines.push(`${"  ".repeat(depth)}${name}:`);
    }
    group = parents;
    const value = withoutPasswords(
      path.reduce<unknown>((inner, name) => (inner as Record<string, unknown>)[name], config),
    );
    const indent = "  ".repeat(parents.length);
    const name = path.at(-1) ?? key;
    const origin = origins.get(key) ?? "default";
    const hidden = setting.secret && value !== undefined;
    lines.push(
      hidden ? `${indent}# ${name} is set but not shown # ${origin}` : entry(indent, name, value, origin),
    );
  }
  return `${lines.join("\n")}\n`;
}

function entry(indent: string, name: string, value: unknown, origin: string): string {
  if (value === undefined) return `${indent}# ${name} is not set`;
  const yaml = stringify(value, { collectionStyle: "flow", lineWidth: 0 }).replace(/\n$/, "");
  // The comment needs the value on one line, and JSON is YAML too.
  const body = yaml.includes("\n") ? JSON.stringify(value) : yaml;
  return `${indent}${name}: ${body} # ${origin}`;
}
