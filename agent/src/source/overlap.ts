/** Two sources must not bring the same ticks: each would come twice, under two numbers. */
import { resolve } from "node:path";
import { EquipoiseError } from "@equipoise/shared";
import { parseSourceSpec, type SourceSpec } from "./spec.ts";
import { symbolOf } from "./venue/venue.ts";

/** @throws EquipoiseError EQ_CONFIG_BAD_VALUE when two specifications name the same input */
export function refuseOverlap(texts: readonly string[]): void {
  const owners = new Map<string, string>();
  for (const text of texts) {
    const spec = parseSourceSpec(text);
    for (const input of "fault" in spec ? [] : inputsOf(spec)) {
      const owner = owners.get(input);
      if (owner !== undefined) {
        const detail = `source ${text}: ${input} is in the source ${owner} already; each tick would come twice`;
        throw new EquipoiseError("EQ_CONFIG_BAD_VALUE", detail);
      }
      owners.set(input, text);
    }
  }
}

/** What the source reads; two that listen on one address are told by the system. */
function inputsOf(spec: SourceSpec): string[] {
  switch (spec.kind) {
    case "venue":
      return spec.symbols.map((symbol) => `${spec.venue.name} ${symbolOf(spec.venue, symbol)}`);
    case "file":
      return [`file ${resolve(spec.path)}`];
    case "stdin":
      return ["standard input"];
    default:
      return [];
  }
}
