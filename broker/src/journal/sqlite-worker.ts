/** The journal's thread: one request after the other, so that an fsync never blocks the broker's event loop. */
import { parentPort, workerData } from "node:worker_threads";
import { EquipoiseError, type ErrorCode, reasonOf } from "@equipoise/shared";
import { type Batch, type Recovered, SqliteStore } from "./sqlite-store.ts";

export type Request =
  | { kind: "open"; now: string }
  | { kind: "commit"; batch: Batch }
  | { kind: "read"; ids: number[] }
  | { kind: "close" };

/** An error as it crosses the thread boundary. */
export interface ErrorReply {
  code: ErrorCode;
  detail: string;
}

export type Reply =
  | { kind: "opened"; recovered: Recovered }
  | { kind: "committed" }
  | { kind: "read"; frames: (Uint8Array | null)[] }
  | { kind: "closed" }
  | { kind: "failed"; of: Request["kind"]; error: ErrorReply };

const store = new SqliteStore((workerData as { path: string }).path);

function answer(request: Request): Reply {
  switch (request.kind) {
    case "open":
      return { kind: "opened", recovered: store.open(request.now) };
    case "commit":
      store.commit(request.batch);
      return { kind: "committed" };
    case "read":
      return { kind: "read", frames: store.read(request.ids) };
    case "close":
      store.close();
      return { kind: "closed" };
  }
}

parentPort?.on("message", (request: Request) => {
  let reply: Reply;
  try {
    reply = answer(request);
  } catch (error) {
    const code = error instanceof EquipoiseError ? error.code : "EQ_STORE_FAILED";
    reply = { kind: "failed", of: request.kind, error: { code, detail: reasonOf(error) } };
  }
  parentPort?.postMessage(reply);
  if (reply.kind === "closed") parentPort?.close();
});
