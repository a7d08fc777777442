import { EquipoiseError } from "../errors.ts";
import { parseFilter, topics } from "../topics.ts";
import type { Consumer, ConsumerOptions } from "./consumer.ts";
import { Member } from "./member.ts";
import { atLeastOne, memberSetup } from "./member-setup.ts";

export interface PoolOptions extends ConsumerOptions {
  pool: string;
  /** Handlers that run at once. Default 1. */
  concurrency?: number;
}

/**
 * A member of a pool: the pool's messages are shared among its members, so this one sees a part of every stream.
 * Nothing happens before `start`.
 * @throws EquipoiseError EQ_TOPIC_INVALID, EQ_CONFIG_BAD_VALUE
 */
export function joinPool(options: PoolOptions): Consumer {
  const { pool, concurrency = 1 } = options;
  const filter = topics.share(pool, options.filter);
  if (parseFilter(filter).pool !== pool) {
    throw new EquipoiseError("EQ_TOPIC_INVALID", `the pool ${JSON.stringify(pool)} must not contain /`);
  }
  return new Member({
    ...memberSetup(options, { filter, clean: true }),
    concurrency: atLeastOne("concurrency", concurrency),
  });
}
