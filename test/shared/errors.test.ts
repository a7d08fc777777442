import { readFileSync } from "node:fs";
import { EquipoiseError, errorTable, exitCodeOf, reasonOf, systemCode } from "@equipoise/shared";
import { test } from "tap";
import { errorsMarkdown } from "../support/error-docs.ts";

test("docs/errors.md and the table of errors say the same", async (t) => {
  const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");
  t.equal(page, errorsMarkdown(), "make it anew: npx node test/support/error-docs.ts > docs/errors.md");
});

test("every code has words that fit into one line of a sentence", async (t) => {
  for (const [code, { cause, remedy }] of Object.entries(errorTable)) {
    t.match(code, /^EQ_[A-Z_]+$/);
    for (const text of [cause, remedy]) t.match(text, /^[^|\n]{10,160}[^.]$/, `${code}: ${text}`);
  }
});

test("an error is one line: code, what, why, what to do", async (t) => {
  const error = new EquipoiseError("EQ_CONFIG_UNREADABLE", "/etc/a.yaml: bad\n  indentation");
  t.equal(
    error.line,
    "EQ_CONFIG_UNREADABLE: /etc/a.yaml: bad indentation (the configuration file cannot be read or is not YAML). " +
      "Remedy: check the path, the permissions and the syntax at the line that the message names.",
  );
  t.notOk(error.retryable);
  t.ok(new EquipoiseError("EQ_STORE_FULL", "x").retryable);
});

test("the exit code is 2 for what was typed or configured and 1 for the rest", async (t) => {
  t.equal(exitCodeOf(new EquipoiseError("EQ_USAGE", "x")), 2);
  t.equal(exitCodeOf(new EquipoiseError("EQ_CONFIG_BAD_VALUE", "x")), 2);
  t.equal(exitCodeOf(new EquipoiseError("EQ_PORT_IN_USE", "x")), 1);
  t.equal(exitCodeOf(new Error("bug")), 1);
});

test("any thrown value has a reason on one line, even an error without a message", async (t) => {
  t.equal(reasonOf(new Error("one\n  two ")), "one two");
  t.equal(reasonOf("text"), "text");
  t.equal(reasonOf(new TypeError()), "TypeError");
  const refused = Object.assign(new AggregateError([new Error("::1"), new Error("127.0.0.1")]), {
    code: "ECONNREFUSED",
  });
  t.equal(reasonOf(refused), "ECONNREFUSED");
  t.equal(systemCode(refused), "ECONNREFUSED");
  for (const none of [null, "x", new Error("x"), { code: 5 }]) t.equal(systemCode(none), undefined);
});
