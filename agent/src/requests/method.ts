/** Contract: one method of `agents/{agentId}/requests/{method}`. */
import { EquipoiseError } from "@equipoise/shared";
import * as z from "zod";

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

/** A request's fields. @throws EquipoiseError EQ_REQUEST_INVALID naming the field */
export function readBody<T>(schema: z.ZodType<T>, body: unknown): T {
  const result = schema.safeParse(body);
  if (result.success) return result.data;
  throw new EquipoiseError("EQ_REQUEST_INVALID", z.prettifyError(result.error).replaceAll("\n", " "));
}

/** A method that answers with one piece. */
export function single(answer: (body: unknown) => Part | Promise<Part>): Method {
  return async function* (body) {
    yield await answer(body);
  };
}
