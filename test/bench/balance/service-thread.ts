import { workerData } from "node:worker_threads";
import { sleepUntil } from "./monotonic.ts";
import { serveForever } from "./service.ts";

serveForever(workerData as SharedArrayBuffer, sleepUntil);
