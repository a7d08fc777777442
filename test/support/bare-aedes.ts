/**
 * Aedes as it comes, on a TCP server in a process of its own: what the gate is measured against. Imported it starts
 * that process, run it is that process.
 */
import { type AddressInfo, createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Aedes } from "aedes";
import { startCommand } from "./program.ts";
import type { Teardown } from "./teardown.ts";

type Method = (...args: unknown[]) => Promise<unknown>;

/** Most levels of a filter that it grants, as many as the broker. */
const maxLevels = 32;

/** @param args `slow-store`: every change of its store takes 2 ms; `failing-store`: it stores no message */
export async function startBareAedes(t: Teardown, args: readonly string[] = []): Promise<{ port: number }> {
  const program = startCommand(t, process.execPath, [fileURLToPath(import.meta.url), ...args]);
  const { port } = await program.event("ready");
  return { port: port as number };
}

async function run(args: readonly string[]): Promise<void> {
  const aedes = await Aedes.createBroker({
    authorizeSubscribe: (_client, subscription, done) =>
      done(null, subscription.topic.split("/").length > maxLevels ? null : subscription),
  });
  if (args.includes("slow-store")) slowDown((aedes as unknown as { persistence: object }).persistence);
  if (args.includes("failing-store")) breakStore((aedes as unknown as { persistence: object }).persistence);
  // What it does about it is the question here; without a listener it would end.
  aedes.on("error" as never, () => {});
  const server = createServer((socket) => aedes.handle(socket, undefined as never));
  server.listen(0, "127.0.0.1", () => {
    const { port } = server.address() as AddressInfo;
    process.stdout.write(`${JSON.stringify({ event: "ready", port })}\n`);
  });
}

function slowDown(store: object): void {
  const methods = store as Record<string, Method>;
  for (const name of [
    "addSubscriptions",
    "outgoingEnqueueCombi",
    "outgoingUpdate",
    "outgoingClearMessageId",
  ]) {
    const method = methods[name] as Method;
    methods[name] = async (...args) => {
      await sleep(2);
      return await method.apply(store, args);
    };
  }
}

function breakStore(store: object): void {
  (store as Record<string, Method>).outgoingEnqueueCombi = async () => {
    throw new Error("the disk is full");
  };
}

if (import.meta.main) await run(process.argv.slice(2));
