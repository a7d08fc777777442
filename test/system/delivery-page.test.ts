import { readdirSync, readFileSync } from "node:fs";
import { test } from "tap";

const root = new URL("../../", import.meta.url);
const page = readFileSync(new URL("docs/delivery.md", root), "utf8");

test("every test that docs/delivery.md names exists, and every MUST names one", async (t) => {
  const items = page.split(/^(?=\d+\. \*\*)/m).filter((part) => /^\d+\. \*\*/.test(part));
  t.equal(items.length, 16);
  for (const item of items) {
    const number = item.slice(0, item.indexOf("."));
    const references = [...item.matchAll(/`(test\/[\w/.-]+)`((?:\s*,?\s*"[^"]+")*)/g)];
    t.ok(references.length > 0 || item.includes("](mqtt-conformance.md)"), `${number} names its tests`);
    for (const [, file = "", names = ""] of references) {
      const source = readFileSync(new URL(file, root), "utf8");
      for (const [, name = ""] of names.matchAll(/"([^"]+)"/g)) {
        const wanted = name.replace(/\s+/g, " ");
        t.ok(
          titlesOf(source).some((title) => title.startsWith(wanted)),
          `${number}: ${file} "${wanted}"`,
        );
      }
    }
  }
});

/** Titles of tests, with what a template fills in left out. */
function titlesOf(source: string): string[] {
  const titles = [...source.matchAll(/test\(\s*["`]([^"`]+)["`]/g)].map(([, title = ""]) => title);
  return titles.map((title) => title.replace("$" + "{how}", "kill -9").replace(/\$\{\w+\}.*/, ""));
}

test("every page of docs is reachable from the README", async (t) => {
  const readme = readFileSync(new URL("README.md", root), "utf8");
  for (const name of readdirSync(new URL("docs", root))) t.ok(readme.includes(`docs/${name}`), name);
});
