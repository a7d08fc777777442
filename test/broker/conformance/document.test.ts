import { readdirSync, readFileSync } from "node:fs";
import { test } from "tap";

const folder = new URL("../", import.meta.url);
const page = readFileSync(new URL("../../../docs/mqtt-conformance.md", import.meta.url), "utf8");

/** Each statement of the page with the test files that it names. */
const rows = new Map(
  Array.from(page.matchAll(/^\| (MQTT-\S+) \| .* \| (.*) \|$/gm), ([, statement = "", where = ""]) => [
    statement,
    { where, files: Array.from(where.matchAll(/`([^`]+\.test\.ts)`/g), ([, file = ""]) => file) },
  ]),
);

const read = (file: string): string => readFileSync(new URL(file, folder), "utf8");

test("every statement of docs/mqtt-conformance.md is in the tests that it names, or has its reason", async (t) => {
  t.ok(rows.size > 120, `${rows.size} statements`);
  for (const [statement, { where, files }] of rows) {
    if (files.length === 0) t.ok(where.length > 5, `${statement}: ${where}`);
    for (const file of files) t.ok(read(file).includes(`[${statement}]`), `${statement} in ${file}`);
  }
});

test("every statement that a conformance test is named by is in the page", async (t) => {
  const named = readdirSync(new URL("conformance/", folder))
    .filter((file) => file.endsWith(".test.ts"))
    .flatMap((file) => read(`conformance/${file}`).match(/(?<=\[)MQTT-[\d.-]+(?=\])/g) ?? []);
  t.same(
    [...new Set(named)].filter((statement) => !rows.has(statement)),
    [],
  );
});
