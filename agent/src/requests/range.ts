/** `latest` and `range`: a stream's newest trade, and its records by sequence or by time. */
import { EquipoiseError, limits } from "@equipoise/shared";
import * as z from "zod";
import type { Archive } from "./archive.ts";
import { type Method, type Part, readBody, single } from "./method.ts";
import { type NumberedRecord, pages } from "./pages.ts";

/** Most records that one answer brings; `nextSeq` says where the next request goes on. */
export const maxAnswerRecords = 10_000;
const defaultRecords = 1_000;
/** A search by time reads so many at most, for it reads from the beginning. */
const maxScanned = 200_000;

const id = z.string().min(1).max(limits.maxIdLength);
export const stream = { venue: id, symbol: id };
export const epoch = z.string().min(1).max(limits.maxIdLength);
export const seq = z.int().min(1);
const timeUs = z.int().min(0);

const latestBody = z.object(stream);
const rangeBody = z
  .object({
    ...stream,
    epoch: epoch.optional(),
    fromSeq: seq.default(1),
    toSeq: seq.default(Number.MAX_SAFE_INTEGER),
    fromTimeUs: timeUs.optional(),
    toTimeUs: timeUs.optional(),
    limit: z.int().min(1).max(maxAnswerRecords).default(defaultRecords),
  })
  .refine(({ fromSeq, toSeq }) => fromSeq <= toSeq, "fromSeq must not be behind toSeq")
  .refine(
    ({ fromTimeUs = 0, toTimeUs = Number.MAX_SAFE_INTEGER }) => fromTimeUs <= toTimeUs,
    "fromTimeUs must not be behind toTimeUs",
  );
type RangeBody = z.infer<typeof rangeBody>;

export function latest(archive: Archive): Method {
  return single((body) => {
    const { venue, symbol } = readBody(latestBody, body);
    const record = archive.latest(venue, symbol);
    return { records: record === undefined ? [] : [record], fields: { epoch: archive.epoch } };
  });
}

export function range(archive: Archive): Method {
  return async function* (body) {
    const asked = readBody(rangeBody, body);
    await requireEpoch(archive, asked);
    yield { records: [] };
    const byTime = asked.fromTimeUs !== undefined || asked.toTimeUs !== undefined;
    const outcome = yield* byTime ? byTimes(archive, asked) : bySequence(archive, asked);
    yield { fields: { epoch: asked.epoch ?? archive.epoch, ...outcome } };
  };
}

/** @throws EquipoiseError EQ_REQUEST_INVALID when there is nothing of an earlier epoch: it may never have been */
async function requireEpoch(archive: Archive, { venue, symbol, epoch }: RangeBody): Promise<void> {
  if (epoch === undefined || epoch === archive.epoch) return;
  const everything = { venue, symbol, epoch, fromSeq: 1, toSeq: Number.MAX_SAFE_INTEGER };
  if ((await archive.range(everything, 1)).length > 0) return;
  const detail = `nothing of this stream is kept of the epoch ${epoch}; the present one is ${archive.epoch}`;
  throw new EquipoiseError("EQ_REQUEST_INVALID", detail);
}

interface Outcome {
  count: number;
  /** Where another request goes on; null when this was all. */
  nextSeq: number | null;
}

/** One more than asked for is looked for, to know whether there is more. */
async function* bySequence(archive: Archive, asked: RangeBody): AsyncGenerator<Part, Outcome> {
  let count = 0;
  for await (const page of pages(archive, asked, asked.limit + 1)) {
    const taken = page.slice(0, asked.limit - count);
    count += taken.length;
    yield { records: taken.map(({ payload }) => payload) };
    const more = page[taken.length];
    if (more !== undefined) return { count, nextSeq: more.seq };
  }
  return { count, nextSeq: null };
}

/** By the agent's clock when the trade arrived; a gap record goes with the trade before it. */
async function* byTimes(archive: Archive, asked: RangeBody): AsyncGenerator<Part, Outcome> {
  const { fromTimeUs = 0, toTimeUs = Number.MAX_SAFE_INTEGER, limit } = asked;
  let count = 0;
  let lastSeq = 0;
  let inside = false;
  for await (const page of pages(archive, asked, maxScanned)) {
    const taken: NumberedRecord[] = [];
    for (const record of page) {
      const { receivedTimeUs } = JSON.parse(record.payload) as { receivedTimeUs?: number };
      if (receivedTimeUs !== undefined) inside = receivedTimeUs >= fromTimeUs && receivedTimeUs <= toTimeUs;
      if (inside && count + taken.length === limit) {
        yield { records: taken.map(({ payload }) => payload) };
        return { count: count + taken.length, nextSeq: record.seq };
      }
      if (inside) taken.push(record);
      lastSeq = record.seq;
    }
    count += taken.length;
    yield { records: taken.map(({ payload }) => payload) };
  }
  const [next] = await archive.range({ ...asked, fromSeq: lastSeq + 1 }, 1);
  return { count, nextSeq: next === undefined ? null : lastSeq + 1 };
}
