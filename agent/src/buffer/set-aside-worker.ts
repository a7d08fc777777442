/** The thread that reads what was set aside. */
import { parentPort, workerData } from "node:worker_threads";
import type { EarlierRange } from "./protocol.ts";
import { SetAside } from "./set-aside.ts";

const setAside = new SetAside((workerData as { directory: string }).directory);

parentPort?.on("message", (asked: { wanted: EarlierRange; limit: number } | "end") => {
  if (asked === "end") return parentPort?.close();
  parentPort?.postMessage(setAside.range(asked.wanted, asked.limit));
});
