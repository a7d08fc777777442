import type { Consumer } from "./consumer.ts";

/**
 * Drains the consumer at the first SIGTERM or SIGINT; the process then ends when nothing else holds it. A second
 * signal ends it at once.
 * @returns removes the handlers
 */
export function drainOnSignals(consumer: Consumer): () => void {
  const drain = (): void => {
    remove();
    void consumer.stop();
  };
  const remove = (): void => {
    process.off("SIGTERM", drain);
    process.off("SIGINT", drain);
  };
  process.on("SIGTERM", drain);
  process.on("SIGINT", drain);
  return remove;
}
