/** The thread that owns the {@link Store}. It imports little: a second copy of the whole package costs start and memory. */
import { parentPort } from "node:worker_threads";
import { EquipoiseError } from "@equipoise/shared/errors";
import type { Commit, Committed, Reply, Request } from "./protocol.ts";
import { Store } from "./store.ts";

let store: Store | undefined;

parentPort?.on("message", (request: Request) => {
  const reply = answer(request);
  parentPort?.postMessage(reply, transferred(reply));
  if (reply.kind === "closed") parentPort?.close();
});

/** The records of a page are handed over instead of copied. */
function transferred(reply: Reply): ArrayBuffer[] {
  return reply.kind === "page" && reply.page !== undefined && "chunk" in reply.page
    ? [reply.page.chunk.payloads.buffer]
    : [];
}

/** Expected failures become a reply; a bug ends the thread and is reported as such. */
function answer(request: Request): Reply {
  try {
    return perform(request);
  } catch (error) {
    if (error instanceof EquipoiseError) return { kind: "failed", code: error.code, detail: error.message };
    throw error;
  }
}

function perform(request: Request): Reply {
  if (request.kind === "open") return { kind: "opened", opened: open(request.options) };
  if (store === undefined) throw new Error(`${request.kind} before open`);
  switch (request.kind) {
    case "commit":
      return { kind: "committed", committed: commit(store, request.commit) };
    case "read":
      return { kind: "page", page: store.read(request.position, request.direction) };
    case "range":
      return { kind: "ranged", payloads: store.range(request.range, request.limit) };
    case "close":
      return { kind: "closed", released: store.close(request.clean) };
  }
}

function commit(store: Store, wanted: Commit): Committed {
  try {
    return store.commit(wanted);
  } finally {
    // The records were handed over; left to the garbage collection, many of them would gather.
    wanted.chunk?.payloads.buffer.transfer(0);
  }
}

function open(options: Parameters<typeof createStore>[0]) {
  store?.close();
  store = createStore(options);
  return store.open();
}

const createStore = (options: ConstructorParameters<typeof Store>[0]): Store => new Store(options);
