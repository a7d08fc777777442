import { withoutCredentials } from "../broker-url.ts";
import { EquipoiseError } from "../errors.ts";
import { parseFilter } from "../topics.ts";
import { AgentRequests } from "./agent-requests.ts";
import { Completion, type Filler, noFiller } from "./completion.ts";
import type { Consumer, ConsumerEvent, ConsumerOptions } from "./consumer.ts";
import { GapFiller } from "./gap-filler.ts";
import { Member, type MemberSetup } from "./member.ts";
import { atLeastOne, memberSetup } from "./member-setup.ts";
import type { MissingTicks } from "./missing.ts";

export interface ExclusiveOptions extends ConsumerOptions {
  /** Called once for everything missing that could not be fetched, before the handler gets what follows it. */
  onGap?: (missing: MissingTicks) => Promise<void> | void;
  /** The broker keeps what comes while this consumer is away. Needs a `clientId`. Default false. */
  persistent?: boolean;
  /** Holes are fetched from the agent before they are reported. Default true. */
  resend?: boolean;
  /** Longest wait for the agent's answer; the stream waits with it. Default 5,000. */
  resendTimeoutMs?: number;
}

/**
 * A consumer that gets every message of its filter, one at a time and in order, and so can tell what is missing.
 * Nothing happens before `start`.
 * @throws EquipoiseError EQ_TOPIC_INVALID, EQ_CONFIG_BAD_VALUE
 */
export function subscribe(options: ExclusiveOptions): Consumer {
  const { filter, persistent = false, resend = true } = options;
  if (parseFilter(filter).pool !== undefined) {
    throw new EquipoiseError("EQ_TOPIC_INVALID", `${filter} joins a pool, where gaps cannot be seen`);
  }
  if (persistent && options.clientId === undefined) {
    throw new EquipoiseError("EQ_CONFIG_BAD_VALUE", "clientId is missing: a persistent session needs one");
  }
  const setup = { ...memberSetup(options, { filter, clean: !persistent }), concurrency: 1 };
  const timeoutMs = atLeastOne("resendTimeoutMs", options.resendTimeoutMs ?? 5_000);
  return new Member(
    resend ? withResend(setup, options, timeoutMs) : { ...setup, before: completion(options, noFiller) },
  );
}

function completion(
  { onGap = () => {} }: ExclusiveOptions,
  filler: Filler,
): NonNullable<MemberSetup["before"]> {
  const completion = new Completion(filler, onGap);
  return (topic, record) => completion.before(topic, record);
}

/** Asks at the broker that the consumer is connected to, for the hole came from there. */
function withResend(setup: MemberSetup, options: ExclusiveOptions, timeoutMs: number): MemberSetup {
  const { urls, clock, onEvent, connection } = setup;
  const requests = new AgentRequests(connection);
  let [broker = ""] = urls;
  const follow = (event: ConsumerEvent): void => {
    if (event.event === "joined") {
      broker = urls.find((url) => withoutCredentials(url) === event.broker) ?? broker;
    }
    onEvent(event);
  };
  const filler = new GapFiller({
    ask: (agentId, body) => requests.ask(broker, agentId, "resend", body, timeoutMs),
    clock,
    onEvent,
  });
  return {
    ...setup,
    onEvent: follow,
    before: completion(options, filler),
    released: () => requests.stop(),
  };
}
