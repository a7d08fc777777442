import Database from "better-sqlite3";
import { test } from "tap";
import { beginDatabase } from "../../agent/src/buffer/beginning.ts";
import { encodeRanges, type SeqRange } from "../../agent/src/buffer/chunk.ts";
import { chunksWith } from "../../agent/src/buffer/chunk-search.ts";
import { prepareStatements, type Statements } from "../../agent/src/buffer/schema.ts";
import { chunksPerSignpost, Signposts } from "../../agent/src/buffer/signposts.ts";
import { emptyOf } from "./buffer-support.ts";

const chunkTicks = 10;

interface Placed extends SeqRange {
  first: number;
}

/** Chunks as commits write them: stream 1 in each, the others rarely, with holes as crashes leave them. */
function filled(chunks: number): { db: Database.Database; statements: Statements; placed: Placed[] } {
  const db = new Database(":memory:");
  beginDatabase(db, emptyOf("01J"));
  const statements = prepareStatements(db);
  const signposts = new Signposts(statements);
  const placed: Placed[] = [];
  const last = new Map<number, number>();
  const none = Buffer.alloc(0);
  db.transaction(() => {
    for (let n = 0; n < chunks; n += 1) {
      const first = 1 + n * chunkTicks;
      signposts.pass(first);
      const rare = [2, 3, 4].filter((id) => n % (97 * id * id) === id);
      const ranges = [1, ...rare].map((streamId) => {
        const fromSeq = (last.get(streamId) ?? 0) + (n % 501 === 0 ? 100 : 1);
        last.set(streamId, fromSeq + 4);
        return { streamId, fromSeq, toSeq: fromSeq + 4 };
      });
      statements.addChunk.run(first, chunkTicks, 0, n, n, encodeRanges(ranges), none, none);
      for (const { streamId, toSeq } of ranges)
        statements.stream.run(streamId, "v", `S${streamId}`, toSeq, toSeq, "");
      placed.push(...ranges.map((range) => ({ ...range, first })));
    }
  })();
  return { db, statements, placed };
}

/** How many chunks were looked at. */
function counted(statements: Statements, wanted: SeqRange): { found: number[]; rows: number } {
  let rows = 0;
  const rangesFrom = {
    all: (from: number, limit: number) => {
      const page = statements.rangesFrom.all(from, limit);
      rows += page.length;
      return page;
    },
  } as Statements["rangesFrom"];
  return { found: [...chunksWith({ ...statements, rangesFrom }, wanted)], rows };
}

const expected = (placed: readonly Placed[], { streamId, fromSeq, toSeq }: SeqRange): number[] =>
  placed
    .filter((own) => own.streamId === streamId && own.fromSeq <= toSeq && own.toSeq >= fromSeq)
    .map(({ first }) => first);

const wanted = (streamId: number, fromSeq: number, toSeq: number): SeqRange => ({ streamId, fromSeq, toSeq });

test("an old number among 20,000 chunks is found by a look at a few, and every range as by a look at all", (t) => {
  const { db, statements, placed } = filled(20_000);
  for (const streamId of [1, 2, 3, 4]) {
    const own = placed.filter((range) => range.streamId === streamId);
    for (const share of [0, 0.3, 0.5, 0.9]) {
      const seq = own[Math.floor(own.length * share)]?.fromSeq ?? 1;
      const { found, rows } = counted(statements, wanted(streamId, seq, seq));
      t.same(found, expected(placed, wanted(streamId, seq, seq)));
      t.ok(rows <= 2 * chunksPerSignpost, `stream ${streamId} at ${share}: ${rows} rows`);
      const some = wanted(streamId, seq - 7, seq + 400);
      t.same(counted(statements, some).found, expected(placed, some));
    }
    const all = wanted(streamId, 1, Number.MAX_SAFE_INTEGER);
    t.same(counted(statements, all).found, expected(placed, all));
  }
  t.ok(counted(statements, wanted(5, 1, 10)).rows <= 2 * chunksPerSignpost, "a stream that is not there");
  db.close();
  t.end();
});

test("where signposts are missing, as in a database of before, or damaged, the search only takes longer", (t) => {
  const { db, statements, placed } = filled(2_000);
  db.exec(
    "DELETE FROM signpost WHERE first < 5000; UPDATE signpost SET numbers = zeroblob(40) WHERE first > 15000",
  );
  for (const streamId of [1, 2]) {
    for (const fromSeq of [3, 50, 1_000, 9_000]) {
      const some = wanted(streamId, fromSeq, fromSeq + 60);
      t.same(counted(statements, some).found, expected(placed, some));
    }
  }
  db.close();
  t.end();
});
