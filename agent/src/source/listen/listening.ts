/** What the sources share that other programs connect to. */
import { EquipoiseError, type Logger, reasonOf, systemCode } from "@equipoise/shared";
import type { ListenSpec } from "../spec.ts";

interface Listener {
  once(event: "error", callback: (error: Error) => void): unknown;
  off(event: "error", callback: (error: Error) => void): unknown;
}

/**
 * Waits until `listen` has called back.
 * @throws EquipoiseError EQ_PORT_IN_USE, EQ_LISTEN_FAILED
 */
export async function listening(
  listener: Listener,
  spec: ListenSpec,
  listen: (ready: () => void) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  listener.once("error", reject);
  try {
    listen(resolve);
    await promise;
  } catch (error) {
    const code = systemCode(error) === "EADDRINUSE" ? "EQ_PORT_IN_USE" : "EQ_LISTEN_FAILED";
    throw new EquipoiseError(code, `${spec.text}: ${reasonOf(error)}`, { cause: error });
  } finally {
    listener.off("error", reject);
  }
}

/** Port 0 takes any free one: here is which. */
export function sayAddress(
  logger: Logger,
  spec: ListenSpec,
  address: { address: string; port: number } | string | null,
): void {
  if (address === null || typeof address === "string") throw new Error(`${spec.text} listens on no address`);
  const { address: host, port } = address;
  logger.info({ event: "sourceListening", source: spec.text, host, port }, `${spec.text} listens`);
}
