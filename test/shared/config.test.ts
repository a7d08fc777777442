import { writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  bytes,
  choice,
  flag,
  integer,
  type Program,
  readCommandLine,
  structure,
  text,
  texts,
} from "@equipoise/shared";
import fc from "fast-check";
import { type Test, test } from "tap";
import * as z from "zod";

const pool = z.strictObject({
  name: z.string().min(1),
  filters: z.array(z.string()).min(1),
  strategy: z.enum(["round_robin", "weighted"]).default("round_robin"),
  fallback: z.strictObject({ pool: z.string(), afterMs: z.int() }).optional(),
});

const settings = {
  dataDir: text("/var/lib/x", "where data lives"),
  note: text<string | undefined>(undefined, "a remark"),
  listen: texts(["mqtt://127.0.0.1:1883"], "addresses", { placeholder: "URL" }),
  durability: choice(["memory", "disk"], "disk", "where accepted messages are kept"),
  secret: text<string | undefined>(undefined, "a secret", { secret: true }),
  verbose: flag(false, "say more"),
  limits: {
    maxBacklogBytes: bytes(1_024, "largest backlog"),
    retry: { maxAttempts: integer(5, "most attempts", { min: 1, max: 9 }) },
  },
  pools: structure(z.array(pool), [], "declared pools"),
};

const program: Program<typeof settings> = {
  name: "equipoise-test",
  summary: "does nothing",
  settings,
  examples: ["equipoise-test --verbose"],
};

type Env = Record<string, string>;

function read(args: string[], env: Env = {}) {
  const result = readCommandLine(program, args, env);
  if ("print" in result) throw new Error("expected a configuration");
  return result.config;
}

function printed(args: string[], env: Env = {}): string {
  const result = readCommandLine(program, args, env);
  return "print" in result ? result.print : "";
}

function fileWith(t: Test, content: string): string {
  const file = join(t.testdir(), "config.yaml");
  writeFileSync(file, content);
  return file;
}

test("flag goes before variable before file before default, each value alone", async (t) => {
  const file = fileWith(
    t,
    "dataDir: /file\ndurability: memory\nlimits:\n  maxBacklogBytes: 2KiB\n  retry:\n    maxAttempts: 2\n",
  );
  const env = { EQUIPOISE_DATA_DIR: "/env", EQUIPOISE_LIMITS_RETRY_MAX_ATTEMPTS: "3" };
  t.match(read(["--config", file, "--data-dir", "/flag"], env), {
    dataDir: "/flag",
    durability: "memory",
    verbose: false,
    limits: { maxBacklogBytes: 2_048, retry: { maxAttempts: 3 } },
  });
  t.match(
    read(["--config", file], { EQUIPOISE_DATA_DIR: "" }),
    { dataDir: "/file" },
    "an empty variable is not set",
  );
  t.match(read([], { EQUIPOISE_CONFIG: file }), { dataDir: "/file" });
  t.match(read([]), { dataDir: "/var/lib/x", listen: ["mqtt://127.0.0.1:1883"], pools: [] });
});

test("lists repeat as flags and are separated in variables; booleans can be switched off", async (t) => {
  t.same(read(["--listen", "a", "--listen", "b,c"]).listen, ["a", "b", "c"]);
  t.same(read([], { EQUIPOISE_LISTEN: "a b, c" }).listen, ["a", "b", "c"]);
  t.equal(read(["--data-dir", "/a", "--data-dir", "/b"]).dataDir, "/b", "the last one counts");
  t.ok(read(["--verbose"]).verbose);
  t.notOk(read(["--no-verbose"], { EQUIPOISE_VERBOSE: "true" }).verbose);
});

test("a file may be empty, and a group may have every key commented out", async (t) => {
  t.match(read(["--config", fileWith(t, "")]), { dataDir: "/var/lib/x" });
  t.match(read(["--config", fileWith(t, "limits:\n  # maxBacklogBytes: 1\nverbose: true\n")]), {
    verbose: true,
  });
});

test("bytes are read with their units", async (t) => {
  const amounts: Record<string, number> = {
    "0": 0,
    "64MiB": 67_108_864,
    "1.5 kB": 1_500,
    "2GiB": 2_147_483_648,
  };
  for (const [amount, expected] of Object.entries(amounts)) {
    t.equal(read(["--limits-max-backlog-bytes", amount]).limits.maxBacklogBytes, expected, amount);
  }
});

test("an unknown key is refused at every level, with what is allowed there", async (t) => {
  const wrong: [string, RegExp][] = [
    ["datadir: /x", /^datadir in .*; allowed here: dataDir, note, /],
    ["limits:\n  maxBacklog: 1", /^limits\.maxBacklog in .*; allowed here: maxBacklogBytes, retry$/],
    ["limits:\n  retry:\n    max: 1", /^limits\.retry\.max in .*; allowed here: maxAttempts$/],
    [
      "pools:\n- nam: a\n  filters: [b]",
      /^pools\.0\.nam, from file .*; allowed here: name, filters, strategy, fallback$/,
    ],
    [
      "pools:\n- {name: a, filters: [b]}\n- {name: a, filters: [b], fallback: {pool: c, after: 5}}",
      /^pools\.1\.fallback\.after, .*; allowed here: pool, afterMs$/,
    ],
    ["constructor: 1", /^constructor in /],
  ];
  for (const [content, message] of wrong) {
    t.throws(
      () => read(["--config", fileWith(t, content)]),
      { code: "EQ_CONFIG_UNKNOWN_KEY", message },
      content,
    );
  }
});

test("a key, a flag or a variable that nearly is one is told which was perhaps meant", async (t) => {
  const keys: [string, RegExp][] = [
    ["datadir: /x", /^datadir in \S*, did you mean dataDir\?; allowed/],
    ["limits:\n  maxBacklogByte: 1", /, did you mean limits\.maxBacklogBytes\?;/],
    ["maxAttempts: 1", /, did you mean limits\.retry\.maxAttempts\?;/],
    ["pools:\n- nmae: a\n  filters: [b]", /, did you mean name\?;/],
    ["quite: another", /^quite in [^,]*; allowed/],
  ];
  for (const [content, message] of keys)
    t.throws(() => read(["--config", fileWith(t, content)]), { message }, content);
  t.throws(() => read(["--data-dri", "x"]), {
    message: "Unknown option '--data-dri', did you mean --data-dir?",
  });
});

test("a variable that is no setting has no effect, and that is said", async (t) => {
  const env = {
    EQUIPOISE_DATADIR: "/x",
    EQUIPOISE_MAX_ATTEMPTS: "1",
    EQUIPOISE_CONFIG: "",
    EQUIPOISE_NOTE: "known",
    EQUIPOISE_WHATEVER_ELSE: "1",
    OTHER: "1",
  };
  const line = readCommandLine(program, [], env);
  t.same("warnings" in line && line.warnings, [
    "the variable EQUIPOISE_DATADIR is no setting and has no effect, did you mean EQUIPOISE_DATA_DIR?",
    "the variable EQUIPOISE_MAX_ATTEMPTS is no setting and has no effect, did you mean EQUIPOISE_LIMITS_RETRY_MAX_ATTEMPTS?",
    "the variable EQUIPOISE_WHATEVER_ELSE is no setting and has no effect",
  ]);
  t.match(printed(["--print-config"], env), /^# the variable EQUIPOISE_DATADIR is no setting/);
});

test("a bad value is refused with its path, itself, its origin and what is allowed", async (t) => {
  const wrong: [string[], Env, string][] = [
    [
      ["--limits-retry-max-attempts", "zero"],
      {},
      'limits.retry.maxAttempts is "zero", from --limits-retry-max-attempts: must be an integer from 1 to 9',
    ],
    [
      ["--limits-retry-max-attempts", "10"],
      {},
      "limits.retry.maxAttempts is 10, from --limits-retry-max-attempts: must be an integer from 1 to 9",
    ],
    [
      [],
      { EQUIPOISE_LIMITS_RETRY_MAX_ATTEMPTS: "1.5" },
      "limits.retry.maxAttempts is 1.5, from EQUIPOISE_LIMITS_RETRY_MAX_ATTEMPTS: must be an integer from 1 to 9",
    ],
    [["--durability", "paper"], {}, 'durability is "paper", from --durability: must be one of memory, disk'],
    [["--data-dir", ""], {}, 'dataDir is "", from --data-dir: must not be empty'],
    [[], { EQUIPOISE_VERBOSE: "yes" }, 'verbose is "yes", from EQUIPOISE_VERBOSE: must be true or false'],
    [
      ["--limits-max-backlog-bytes", "1 zonk"],
      {},
      'limits.maxBacklogBytes is "1 zonk", from --limits-max-backlog-bytes: must be a number of bytes such as 1048576 or 1MiB',
    ],
    [["--pools", "[{]"], {}, 'pools is "[{]", from --pools: must be a list'],
    [
      ["--pools", '[{"name":"a","filters":[]}]'],
      {},
      "pools.0.filters is [], from --pools: must not be empty",
    ],
    [["--pools", '[{"filters":["a"]}]'], {}, "pools.0.name is missing, from --pools: must be text"],
    [
      ["--pools", '[{"name":"a","filters":["a"],"strategy":"best"}]'],
      {},
      'pools.0.strategy is "best", from --pools: must be one of round_robin, weighted',
    ],
    [["--secret", ""], {}, "secret is (hidden), from --secret: must not be empty"],
  ];
  for (const [args, env, message] of wrong) {
    t.throws(() => read(args, env), { code: "EQ_CONFIG_BAD_VALUE", message }, message);
  }
  const unquoted = fileWith(t, "dataDir: 0123");
  t.throws(() => read(["--config", unquoted]), {
    message: /^dataDir is 123, .*: must be text: put it in quotes$/,
  });
  const nested = fileWith(t, "limits: 5");
  t.throws(() => read(["--config", nested]), {
    message: `limits of ${nested} must be a mapping of keys to values`,
  });
  const list = fileWith(t, "- a");
  t.throws(() => read(["--config", list]), { message: /^the top level of / });
});

test("a file that cannot be read and flags that do not exist are told clearly", async (t) => {
  t.throws(() => read(["--config", "/no/such.yaml"]), { code: "EQ_CONFIG_UNREADABLE", message: /ENOENT/ });
  const broken = fileWith(t, "a: [1\nb: 2");
  t.throws(() => read(["--config", broken]), {
    code: "EQ_CONFIG_UNREADABLE",
    message: /at line \d+, column \d+$/,
  });
  for (const [args, message] of [
    [["--nope"], "Unknown option '--nope'"],
    [["extra"], "Unexpected argument 'extra'"],
    [["--data-dir"], "Option '--data-dir <value>' argument missing"],
    [["--data-dir", "--verbose"], /^Option '--data-dir' needs a value; one that begins with a dash/],
  ] as const) {
    t.throws(() => read([...args]), { code: "EQ_USAGE", message });
  }
});

test("a command behind the flags is told to come first", async (t) => {
  const load = () => Promise.reject(new Error("not to be loaded"));
  const commanding = { ...program, commands: { look: { summary: "looks", load } } };
  t.throws(() => readCommandLine(commanding, ["--verbose", "look"], {}), {
    code: "EQ_USAGE",
    message: "Unexpected argument 'look': a command comes first, as in equipoise-test look --help",
  });
});

test("a negative number is a value, and refused as that", async (t) => {
  t.throws(() => read(["--limits-max-backlog-bytes", "-5"]), {
    code: "EQ_CONFIG_BAD_VALUE",
    message: /^limits\.maxBacklogBytes is "-5", from --limits-max-backlog-bytes: must be a number of bytes/,
  });
});

test("settings that do not go together are refused", async (t) => {
  const choosy = { ...program, fault: ({ note }: { note?: string | undefined }) => note && `not ${note}` };
  t.throws(() => readCommandLine(choosy, ["--note", "that"], {}), {
    code: "EQ_CONFIG_BAD_VALUE",
    message: "not that",
  });
});

test("a password in a URL is not shown, wherever the URL stands", async (t) => {
  const args = [
    "--listen",
    "mqtt://a:s3cret@h:1,mqtts://b:s3c@ret@h",
    "--note",
    "x?url=ws://:s3cret@h/",
    "--print-config",
  ];
  const shown = printed(args);
  t.match(shown, "listen: [ mqtt://a:***@h:1, mqtts://b:***@h ]");
  t.match(shown, "note: x?url=ws://:***@h/");
  const wrong = { ...settings, listen: texts([], "", { item: z.string().startsWith("wss:") }) };
  t.throws(() => readCommandLine({ ...program, settings: wrong }, args, {}), { message: /^((?!s3c).)*$/ });
});

test("--print-config is a file that loads to the same configuration, and never shows a secret", async (t) => {
  const values = fc.record({
    dataDir: fc.string({ minLength: 1, unit: "grapheme" }),
    note: fc.constantFrom("null", "true", "5", "a: b # c", "- x", "two\nlines", "'\"", "~"),
    attempts: fc.integer({ min: 1, max: 9 }),
    verbose: fc.boolean(),
    filters: fc.array(fc.string({ minLength: 1 }), { minLength: 1, maxLength: 3 }),
  });
  fc.assert(
    fc.property(values, ({ dataDir, note, attempts, verbose, filters }) => {
      const pools = JSON.stringify([{ name: note, filters, fallback: { pool: "p", afterMs: 5 } }]);
      const args = [`--data-dir=${dataDir}`, `--note=${note}`, `--pools=${pools}`];
      args.push(`--limits-retry-max-attempts=${attempts}`, verbose ? "--verbose" : "--no-verbose");
      const file = fileWith(t, printed([...args, "--print-config"]));
      t.same(read(["--config", file]), read(args));
    }),
    // Such a space at the end is the value's own.
    {
      numRuns: 60,
      examples: [[{ dataDir: "x\u2003", note: "~", attempts: 1, verbose: true, filters: ["x"] }]],
    },
  );
  const shown = printed(["--print-config", "--secret", "hunter2"], { EQUIPOISE_VERBOSE: "1" });
  t.notMatch(shown, /hunter2/);
  t.match(shown, /^# secret is set but not shown # --secret$/m);
  t.match(shown, /^verbose: true # EQUIPOISE_VERBOSE$/m);
  t.match(shown, /^ {4}maxAttempts: 5 # default$/m);
});

test("--help names every setting with its default; --version tells the version", async (t) => {
  const help = printed(["--help"]);
  const flags = ["data-dir TEXT", "note", "listen URL", "durability memory|disk", "secret", "verbose"];
  for (const name of [
    ...flags,
    "limits-max-backlog-bytes BYTES",
    "limits-retry-max-attempts N",
    "pools JSON",
    "config FILE",
  ]) {
    t.ok(help.includes(`--${name}`), name);
  }
  t.match(help, /where data lives \(default \/var\/lib\/x\)/);
  t.match(help, /addresses \(repeatable; default\s+mqtt:\/\/127.0.0.1:1883\)/);
  t.ok(help.split("\n").every((line) => line.length <= 80));
  t.notMatch(help, /COMMAND/, "a program without commands speaks of none");
  t.match(printed(["--version"]), /^equipoise-test \d+\.\d+\.\d+\n$/);
});
