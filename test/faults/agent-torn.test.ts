/** What a power cut may leave of the files of the agent's store, at every commit boundary. */
import { join } from "node:path";
import { test } from "tap";
import type { Commit } from "../../agent/src/buffer/protocol.ts";
import { Store } from "../../agent/src/buffer/store.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { commitOf } from "../support/buffer-commit.ts";
import { cutsBetween, type Files, plant, snapshot } from "./torn-files.ts";

/** How many of the boundaries are looked at; `npm run soak` asks for all. */
const share = Number(process.env.TORN_SHARE ?? 0.05);
const stride = Math.round(1 / share);
const chosen = Math.floor(Math.random() * stride);
const commits = 220;

const setAsideBounds = { maxFiles: 8, maxOlderBytes: 0 };
const options = (directory: string) => ({
  directory,
  agentId: "pi-7",
  freshEpoch: "0E",
  wallMs: 1,
  setAsideBounds,
});
const ticksOfCommit = 20;
const payloadOf = (position: number): string => `{"n":${position},"noise":"${noise(position)}"}`;

/** Always the same for a number, and hard to compress. */
function noise(seed: number): string {
  let state = seed * 2_654_435_761;
  let text = "";
  while (text.length < 1_200) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    text += state.toString(36);
  }
  return text;
}

function commitNumber(number: number): Commit {
  const first = (number - 1) * ticksOfCommit + 1;
  const positions = Array.from({ length: ticksOfCommit }, (_, n) => first + n);
  const payloads = `${positions.map(payloadOf).join("\n")}\n`;
  return commitOf({
    ...{ venue: "v", symbol: "S", first, payloads, count: ticksOfCommit },
    ...{ uptimeMs: number, wallMs: number, reserve: 256 },
  });
}

/** @returns why the files are not what they must be, or undefined */
function fault(directory: string, files: Files, committed: number): string | undefined {
  plant(directory, files);
  const store = new Store(options(directory));
  try {
    const { end, streams, setAside } = store.open();
    if (setAside !== undefined) return `set aside after commit ${committed}`;
    if (end <= committed * ticksOfCommit) return `ends at ${end} after commit ${committed}`;
    if ((streams[0]?.reserved ?? 0) < committed * ticksOfCommit + 256)
      return "a reserved number is forgotten";
    for (let position = 1; position < end; position += ticksOfCommit) {
      const page = store.read(position, "up");
      if (page === undefined || "lost" in page || page.extent[0] !== position) return `no tick ${position}`;
      const committed = commitNumber(1 + (position - 1) / ticksOfCommit).chunk?.payloads;
      if (committed === undefined || Buffer.compare(page.chunk.payloads, committed) !== 0) {
        return `another tick ${position}`;
      }
    }
    return undefined;
  } finally {
    store.close();
  }
}

test("torn, truncated and reordered writes at the commit boundaries lose no committed tick", async (t) => {
  const root = await temporaryDirectory(t);
  const directory = join(root, "live");
  const store = new Store(options(directory));
  t.teardown(() => store.close());
  store.open();
  store.commit(commitNumber(1));
  let before = snapshot(directory);
  let states = 0;
  let checkpoints = 0;
  const faults: string[] = [];
  for (let number = 2; number <= commits; number += 1) {
    store.commit(commitNumber(number));
    const after = snapshot(directory);
    const isCheckpoint = !before.db.equals(after.db);
    if (isCheckpoint) checkpoints += 1;
    if (isCheckpoint || number % stride === chosen) {
      for (const files of cutsBetween(before, after)) {
        states += 1;
        const found = fault(join(root, "cut"), files, number - 1);
        if (found !== undefined) faults.push(found);
      }
    }
    before = after;
  }
  t.same(faults, []);
  t.ok(checkpoints > 0 && states > 15, `${states} states, ${checkpoints} checkpoints`);
});
