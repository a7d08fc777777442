import { EquipoiseError } from "../errors.ts";
import { parseFilter } from "../topics.ts";
import type { Consumer, ConsumerOptions } from "./consumer.ts";
import { GapDetector, type MissingTicks } from "./gaps.ts";
import { Member } from "./member.ts";
import { memberSetup } from "./member-setup.ts";

export interface ExclusiveOptions extends ConsumerOptions {
  /** Called once for everything missing, before the handler gets the record that proved it. */
  onGap?: (missing: MissingTicks) => Promise<void> | void;
  /** The broker keeps what comes while this consumer is away. Needs a `clientId`. Default false. */
  persistent?: boolean;
}

/**
 * A consumer that gets every message of its filter, one at a time and in order, and so can tell what is missing.
 * Nothing happens before `start`.
 * @throws EquipoiseError EQ_TOPIC_INVALID, EQ_CONFIG_BAD_VALUE
 */
export function subscribe(options: ExclusiveOptions): Consumer {
  const { filter, handler, onGap = () => {}, persistent = false } = options;
  if (parseFilter(filter).pool !== undefined) {
    throw new EquipoiseError("EQ_TOPIC_INVALID", `${filter} joins a pool, where gaps cannot be seen`);
  }
  if (persistent && options.clientId === undefined) {
    throw new EquipoiseError("EQ_CONFIG_BAD_VALUE", "clientId is missing: a persistent session needs one");
  }
  const gaps = new GapDetector();
  return new Member({
    ...memberSetup(options, { filter, clean: !persistent }),
    concurrency: 1,
    handler: async (record, context) => {
      for (const missing of gaps.observe(context.topic, record)) await onGap(missing);
      await handler(record, context);
    },
  });
}
