/** From the options of an application, with their defaults, to the setup of a member. */
import { randomBytes } from "node:crypto";
import { brokerUrlFault } from "../broker-url.ts";
import { systemClock } from "../clock.ts";
import { EquipoiseError } from "../errors.ts";
import { encodeLevel } from "../topics.ts";
import type { ConsumerOptions } from "./consumer.ts";
import type { MemberSetup } from "./member.ts";

/** @throws EquipoiseError EQ_CONFIG_BAD_VALUE, EQ_TOPIC_INVALID */
export function memberSetup(
  options: ConsumerOptions,
  { filter, clean }: { filter: string; clean: boolean },
): Omit<MemberSetup, "concurrency"> {
  const { handler, weight, username, password, tls } = options;
  const { onEvent = () => {}, clock = systemClock, random = Math.random } = options;
  const { clientId = `consumer-${randomBytes(6).toString("hex")}`, keepaliveS = 30 } = options;
  encodeLevel(clientId);
  return {
    urls: checkedUrls(options.broker),
    connection: {
      clientId,
      clean,
      keepaliveS: atLeastOne("keepaliveS", keepaliveS),
      username,
      password,
      tls,
      clock,
    },
    filter,
    handler,
    maxQueued: atLeastOne("maxQueued", options.maxQueued ?? 1_024),
    maxRemembered: atLeastOne("maxRemembered", options.maxRemembered ?? 100_000),
    weight,
    drainTimeoutMs: atLeastOne("drainTimeoutMs", options.drainTimeoutMs ?? 20_000),
    onEvent,
    clock,
    random,
  };
}

/** @throws EquipoiseError EQ_CONFIG_BAD_VALUE */
export function atLeastOne(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new EquipoiseError("EQ_CONFIG_BAD_VALUE", `${name} is ${value}: must be an integer from 1`);
}

function checkedUrls(broker: string | readonly string[]): readonly string[] {
  const urls = typeof broker === "string" ? [broker] : broker;
  if (urls.length === 0)
    throw new EquipoiseError("EQ_CONFIG_BAD_VALUE", "broker is empty: needs one URL or more");
  for (const url of urls) {
    const fault = brokerUrlFault(url);
    if (fault === undefined) continue;
    throw new EquipoiseError("EQ_CONFIG_BAD_VALUE", `broker is ${JSON.stringify(url)}: ${fault}`);
  }
  return urls;
}
