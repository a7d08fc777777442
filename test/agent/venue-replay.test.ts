import { test } from "tap";
import type { Teardown } from "../support/teardown.ts";
import { until } from "./support.ts";
import { longSessions, type RecordedSession, recordedSessions } from "./venue-frames.ts";
import { runVenue, type VenueClient, VenueServer } from "./venue-server.ts";

/** A source for everything in the session, connected to a server that has sent these frames. */
async function replay(
  t: Teardown,
  session: Pick<RecordedSession, "venue" | "read">,
  frames: readonly string[],
) {
  const server = new VenueServer((client: VenueClient) => client.send(...frames));
  await server.start(t);
  const symbols = new Set(frames.flatMap((frame) => session.read(frame)).map(({ symbol }) => symbol));
  return runVenue(t, `${session.venue}:${[...symbols].join(",")}?url=${server.url}`);
}

for (const session of [...recordedSessions, ...longSessions]) {
  test(`${session.venue}, ${session.label}: what comes over a socket is what was recorded, in order, without a gap`, async (t) => {
    const { source, sink } = await replay(t, session, session.frames);
    await until(() => sink.records.length >= session.trades);
    const got = sink.trades.map(({ symbol, tradeId, price, size, side, exchangeTimeUs }) =>
      [symbol, tradeId, price, size, side, exchangeTimeUs].join(" "),
    );
    const recorded = session.frames.flatMap(session.read).map((trade) => Object.values(trade).join(" "));
    t.same(
      got.filter((line, index) => line !== recorded[index]),
      [],
    );
    t.match(source.status(), { state: "running", ticks: session.trades, skipped: 0, gaps: 0 });
  });
}
