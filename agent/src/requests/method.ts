/** Contract: one method of `agents/{agentId}/requests/{method}`. */
import { EquipoiseError, wording } from "@equipoise/shared";
import type * as z from "zod";

/** A piece of an answer. */
export interface Part {
  /** Records as JSON. */
  records?: readonly string[];
  /** Fields beside them; those of the last piece are the outcome. */
  fields?: object;
}

/**
 * Answers one request, piece by piece.
 * @param body the request's JSON object
 * @throws EquipoiseError EQ_REQUEST_INVALID and what the method itself may fail with
 */
export type Method = (body: unknown) => AsyncIterable<Part>;

/** Characters of a value that is wrong. */
const maxShown = 40;

/** A request's fields. @throws EquipoiseError EQ_REQUEST_INVALID naming the field */
export function readBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body, { error: wording });
  if (result.success) return result.data;
  throw new EquipoiseError("EQ_REQUEST_INVALID", faultOf(result.error, body));
}

/** Says of the first field that is wrong what it is and what it must be. */
function faultOf({ issues: [issue] }: z.ZodError, body: unknown): string {
  const { path = [], message = "not allowed" } = issue ?? {};
  if (path.length === 0) return message;
  const value = path.reduce<unknown>((inner, part) => (inner as Record<PropertyKey, unknown>)?.[part], body);
  const shown = JSON.stringify(value)?.slice(0, maxShown) ?? "missing";
  return `${path.join(".")} is ${shown}: ${message}`;
}

/** A method that answers with one piece. */
export function single(answer: (body: unknown) => Part | Promise<Part>): Method {
  return async function* (body) {
    yield await answer(body);
  };
}
