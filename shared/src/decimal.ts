import { limits } from "./limits.ts";

const plain = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/;
const scientific = /^(-?)(\d+)(?:\.(\d+))?[eE]([+-]?\d+)$/;

/** True for a decimal string as records carry it: digits, optional fraction, no exponent, no leading zeros. */
export function isDecimal(text: unknown): text is string {
  return typeof text === "string" && text.length <= limits.maxDecimalLength && plain.test(text);
}

/**
 * The digits of a JSON number token as a decimal string: `61837.630` stays as it is, `1e-7` becomes `0.0000001`.
 * Returns `undefined` when the token is no number or would be longer than `limits.maxDecimalLength`.
 */
export function decimalFromNumberToken(token: string): string | undefined {
  if (isDecimal(token)) return token;
  const match = scientific.exec(token);
  if (match === null) return undefined;
  const [, sign = "", whole = "", fraction = "", exponentText = ""] = match;
  const exponent = Number(exponentText);
  if (Math.abs(exponent) > limits.maxDecimalLength) return undefined;
  const text = `${sign}${shiftPoint(whole, fraction, exponent)}`;
  return isDecimal(text) ? text : undefined;
}

function shiftPoint(whole: string, fraction: string, exponent: number): string {
  const digits = whole + fraction;
  const point = whole.length + exponent;
  if (point <= 0) return `0.${"0".repeat(-point)}${digits}`;
  if (point >= digits.length) return trimZeros(digits + "0".repeat(point - digits.length));
  return `${trimZeros(digits.slice(0, point))}.${digits.slice(point)}`;
}

function trimZeros(digits: string): string {
  return digits.replace(/^0+(?=\d)/, "");
}

/**
 * `JSON.parse` that keeps every number as the text it was written with, so no price passes through a float.
 * Numbers come back as strings; a field that was a string in the source cannot be told from one that was a number.
 * @throws SyntaxError when the text is not JSON
 */
export function parseJsonKeepingDigits(text: string): unknown {
  return JSON.parse(text, keepDigits as (key: string, value: unknown) => unknown);
}

/** A reviver by the "JSON.parse source text access" proposal, which Node has had since 21. */
function keepDigits(_key: string, value: unknown, context: { source?: string }): unknown {
  return typeof value === "number" && context.source !== undefined ? context.source : value;
}
