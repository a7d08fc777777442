/** The specifications of live sources after symbols were added and removed. */
import { EquipoiseError } from "@equipoise/shared";
import { maxSymbols, parseSourceSpec, type SourceSpec } from "./spec.ts";
import type { SymbolChanges } from "./symbol-changes.ts";
import { distinct, symbolOf, type Venue } from "./venue/venue.ts";
import { venues } from "./venue/venues.ts";

export type VenueSpec = SourceSpec & { kind: "venue" };

/** A venue's source as it is written. */
export function specText({ venue, symbols, url }: Pick<VenueSpec, "venue" | "symbols" | "url">): string {
  return `${venue.name}:${symbols.join(",")}${url === venue.url ? "" : `?url=${url}`}`;
}

/**
 * One venue's specifications after a change: removed symbols go from each, added ones go to the first that has room,
 * else to a new one. One that is left without symbols is gone.
 * @throws EquipoiseError EQ_CONFIG_BAD_VALUE
 */
export function changed(name: string, specs: readonly VenueSpec[], change: SymbolChanges): VenueSpec[] {
  const venue = venueOf(name);
  const nameOf = (symbol: string): string => symbolOf(venue, symbol);
  const remove = new Set(change.remove.map(nameOf));
  const present = new Set(specs.flatMap(({ symbols }) => symbols.map(nameOf)));
  const add = distinct(
    venue,
    change.add.map((symbol) => symbol.toUpperCase()),
  ).filter((symbol) => !present.has(nameOf(symbol)) && !remove.has(nameOf(symbol)));
  const after = specs.map(({ url, symbols }) => {
    const kept = symbols.filter((symbol) => !remove.has(nameOf(symbol)));
    return { venue, url, symbols: [...kept, ...add.splice(0, maxSymbols - kept.length)] };
  });
  const url = specs[0]?.url ?? venue.url;
  while (add.length > 0) after.push({ venue, url, symbols: add.splice(0, maxSymbols) });
  return after.filter(({ symbols }) => symbols.length > 0).map((spec) => checked(specText(spec)));
}

/** The change with symbols as in topics, so that each has one writing. */
export function named(name: string, { add, remove }: SymbolChanges): SymbolChanges {
  const nameOf = (symbol: string): string => symbolOf(venueOf(name), symbol);
  return { add: add.map(nameOf), remove: remove.map(nameOf) };
}

/** The symbols of a venue that are configured, as in topics. @throws EquipoiseError EQ_CONFIG_BAD_VALUE */
export function configuredSymbols(texts: readonly string[], name: string): Set<string> {
  return new Set(
    texts
      .filter((text) => text.startsWith(`${name}:`))
      .flatMap((text) => checked(text).symbols)
      .map((symbol) => symbolOf(venueOf(name), symbol)),
  );
}

/** A whole configuration after the remembered changes. @throws EquipoiseError EQ_CONFIG_BAD_VALUE */
export function applied(
  texts: readonly string[],
  changes: Readonly<Record<string, SymbolChanges>>,
): string[] {
  let result = [...texts];
  for (const [name, change] of Object.entries(changes)) {
    const isOfVenue = (text: string): boolean => text.startsWith(`${name}:`);
    const after = changed(name, result.filter(isOfVenue).map(checked), change);
    result = [...result.filter((text) => !isOfVenue(text)), ...after.map(({ text }) => text)];
  }
  return result;
}

function venueOf(name: string): Venue {
  const venue = venues.get(name);
  if (venue !== undefined) return venue;
  const detail = `venue is ${name}: must be ${[...venues.keys()].join(", ")}`;
  throw new EquipoiseError("EQ_CONFIG_BAD_VALUE", detail);
}

function checked(text: string): VenueSpec {
  const spec = parseSourceSpec(text);
  if ("fault" in spec) throw new EquipoiseError("EQ_CONFIG_BAD_VALUE", `source ${text} ${spec.fault}`);
  if (spec.kind !== "venue") throw new Error(`${text} is no venue's source`);
  return spec;
}
