/** `resend`: the records of a hole that a reader has found, for that reader alone, and what is gone for good. */
import * as z from "zod";
import type { Archive } from "./archive.ts";
import { type Method, type Part, readBody } from "./method.ts";
import { pages } from "./pages.ts";
import { epoch, maxAnswerRecords, seq, stream } from "./range.ts";

const resendBody = z
  .object({ ...stream, epoch, fromSeq: seq, toSeq: seq })
  .refine(({ fromSeq, toSeq }) => fromSeq <= toSeq, "fromSeq must not be behind toSeq");

/** First and last sequence number. */
type Range = [from: number, to: number];

export function resend(archive: Archive): Method {
  return async function* (body) {
    const asked = readBody(resendBody, body);
    yield { records: [] };
    const toSeq = Math.min(asked.toSeq, asked.fromSeq + maxAnswerRecords - 1);
    const nextSeq = toSeq === asked.toSeq ? null : toSeq + 1;
    const missing = yield* found(archive, { ...asked, toSeq });
    yield { fields: { epoch: asked.epoch, missing, nextSeq } };
  };
}

/** Yields what is there and returns the ranges that are not. */
async function* found(archive: Archive, asked: z.infer<typeof resendBody>): AsyncGenerator<Part, Range[]> {
  const missing: Range[] = [];
  let expected = asked.fromSeq;
  for await (const page of pages(archive, asked, maxAnswerRecords)) {
    for (const { seq: present } of page) {
      if (present > expected) missing.push([expected, present - 1]);
      expected = present + 1;
    }
    yield { records: page.map(({ payload }) => payload) };
  }
  if (expected <= asked.toSeq) missing.push([expected, asked.toSeq]);
  return missing;
}
