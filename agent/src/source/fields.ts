/** What all parsers of trades share: JSON objects, times, ids, and the one way to say what is wrong. */
import { EquipoiseError, reasonOf, type VenueTrade, venueTradeFault } from "@equipoise/shared";

export type Fields = Readonly<Record<string, unknown>>;

export const badRecord = (reason: string): EquipoiseError =>
  new EquipoiseError("EQ_SOURCE_BAD_RECORD", reason);

/**
 * A JSON value, by `parse` where `JSON.parse` would lose digits.
 * @throws EquipoiseError EQ_SOURCE_BAD_RECORD
 */
export function parseJson(text: string, parse: (text: string) => unknown = JSON.parse): unknown {
  try {
    return parse(text);
  } catch (error) {
    throw badRecord(`not JSON: ${reasonOf(error)}`);
  }
}

export const isFields = (value: unknown): value is Fields =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** An object's fields; none of anything else, so that a look at one of them finds nothing. */
export const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {});

/** @throws EquipoiseError EQ_SOURCE_BAD_RECORD when the field holds no array */
export function arrayOf(fields: Fields, name: string): readonly unknown[] {
  const value = fields[name];
  if (!Array.isArray(value)) throw badRecord(`"${name}" must be an array, not ${show(value)}`);
  return value;
}

/** @throws EquipoiseError EQ_SOURCE_BAD_RECORD when the field holds no text */
export function textOf(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== "string" || value === "")
    throw badRecord(`"${name}" must be text, not ${show(value)}`);
  return value;
}

/**
 * An integer from 0, written as number or as text.
 * @throws EquipoiseError EQ_SOURCE_BAD_RECORD
 */
export function integerOf(fields: Fields, name: string): number {
  const value = fields[name];
  const integer = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : value;
  if (!Number.isSafeInteger(integer) || (integer as number) < 0) {
    throw badRecord(`"${name}" must be an integer, not ${show(value)}`);
  }
  return integer as number;
}

/**
 * Microseconds since 1970 of a time such as `2026-08-09T21:05:42.514318Z`; what is finer is cut off.
 * @throws EquipoiseError EQ_SOURCE_BAD_RECORD
 */
export function isoTimeUsOf(fields: Fields, name: string): number {
  const text = textOf(fields, name);
  const [, second, fraction = ""] = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(text) ?? [];
  const timeMs = second === undefined ? Number.NaN : Date.parse(`${second}Z`);
  if (Number.isNaN(timeMs)) throw badRecord(`"${name}" must be a UTC time, not ${show(text)}`);
  return timeMs * 1000 + microseconds(fraction);
}

/**
 * Microseconds since 1970 of decimal seconds such as `1618678142.557535`.
 * @throws EquipoiseError EQ_SOURCE_BAD_RECORD
 */
export function secondsTimeUs(text: unknown): number {
  const [, seconds, fraction = ""] = /^(\d{1,10})(?:\.(\d{1,9}))?$/.exec(String(text)) ?? [];
  if (seconds === undefined) throw badRecord(`the time must be decimal seconds, not ${show(text)}`);
  return Number(seconds) * 1_000_000 + microseconds(fraction);
}

const microseconds = (fraction: string): number => Number(fraction.padEnd(6, "0").slice(0, 6));

/** The value that `values` has for the field's, e.g. a side. @throws EquipoiseError EQ_SOURCE_BAD_RECORD */
export function oneOf<T>(fields: Fields, name: string, values: ReadonlyMap<unknown, T>): T {
  const value = values.get(fields[name]);
  if (value !== undefined) return value;
  throw badRecord(`"${name}" must be ${[...values.keys()].join(" or ")}, not ${show(fields[name])}`);
}

/** The trade itself. @throws EquipoiseError EQ_SOURCE_BAD_RECORD when a field is not as records have it */
export function checkedTrade(trade: unknown): VenueTrade {
  const fault = venueTradeFault(trade);
  if (fault !== undefined) throw badRecord(fault);
  return trade as VenueTrade;
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
