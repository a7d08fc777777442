/** What zod finds wrong, in the words of this product. Messages given in a schema come first. */
import * as z from "zod";

const nouns: Readonly<Record<string, string>> = {
  int: "an integer",
  number: "a number",
  string: "text",
  boolean: "true or false",
  array: "a list",
  object: "a mapping of keys to values",
  record: "a mapping of keys to values",
};
const countable = ["string", "array"];

/** For `safeParse`; `undefined` leaves the wording to zod. */
export function wording(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === "invalid_type") {
    const expected = nouns[issue.expected];
    // YAML reads 0123 as a number: what its author has written cannot be had back.
    if (issue.expected === "string" && ["number", "boolean"].includes(typeof issue.input))
      return "must be text: put it in quotes";
    return expected === undefined ? undefined : `must be ${expected}`;
  }
  if (issue.code === "invalid_value")
    return `must be ${issue.values.length > 1 ? "one of " : ""}${issue.values.join(", ")}`;
  if (issue.code === "too_small" && issue.minimum === 1 && countable.includes(issue.origin)) {
    return "must not be empty";
  }
  if (issue.code === "too_small")
    return `must ${verb(issue.origin)} at least ${issue.minimum}${unit(issue.origin)}`;
  if (issue.code === "too_big")
    return `must ${verb(issue.origin)} at most ${issue.maximum}${unit(issue.origin)}`;
  return undefined;
}

function verb(origin: string): string {
  return countable.includes(origin) ? "have" : "be";
}

function unit(origin: string): string {
  if (origin === "string") return " characters";
  return origin === "array" ? " items" : "";
}

/** The keys that a schema allows at a path inside it, or `undefined` where it has no fixed keys. */
export function allowedKeys(schema: z.core.$ZodType, path: readonly PropertyKey[]): string[] | undefined {
  const inner = unwrapped(schema);
  const [first, ...rest] = path;
  if (inner instanceof z.ZodObject) {
    if (first === undefined) return Object.keys(inner.shape);
    const field = inner.shape[String(first)];
    return field === undefined ? undefined : allowedKeys(field, rest);
  }
  if (inner instanceof z.ZodArray && first !== undefined) return allowedKeys(inner.element, rest);
  return undefined;
}

function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodDefault || schema instanceof z.ZodPrefault) {
    return unwrapped(schema.def.innerType);
  }
  return schema instanceof z.ZodPipe ? unwrapped(schema.def.in) : schema;
}
