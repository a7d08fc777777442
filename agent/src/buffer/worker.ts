/** The thread that owns the {@link Store}. It imports little: a second copy of the whole package costs start and memory. */
import { parentPort } from "node:worker_threads";
import { EquipoiseError } from "@equipoise/shared/errors";
import type { Reply, Request } from "./protocol.ts";
import { Store } from "./store.ts";

let store: Store | undefined;

parentPort?.on("message", (request: Request) => {
  const reply = answer(request);
  const transfer =
    reply.kind === "page" ? [reply.page.streamIds.buffer, reply.page.bufferedTimesMs.buffer] : [];
  parentPort?.postMessage(reply, transfer as ArrayBuffer[]);
  if (reply.kind === "closed") parentPort?.close();
});

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
  if (request.kind === "open") {
    store = new Store(request.options);
    return { kind: "opened", opened: store.open() };
  }
  if (store === undefined) throw new Error(`${request.kind} before open`);
  if (request.kind === "commit") return { kind: "committed", usedBytes: store.commit(request.commit) };
  if (request.kind === "read") return { kind: "page", page: store.read(request.from, request.limit) };
  store.close();
  return { kind: "closed" };
}
