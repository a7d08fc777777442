/**
 * The only place where topics are built or taken apart. Identifiers are percent-encoded where they would break a
 * topic level (`/ + # %` and control characters).
 */
import { EquipoiseError } from "./errors.ts";
import { limits } from "./limits.ts";

/** The parts of `ticks/{venue}/{symbol}/{agentId}`: one topic is one stream. */
export interface StreamName {
  venue: string;
  symbol: string;
  agentId: string;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is being encoded
const breaksLevel = /[/+#%\u0000-\u001f\u007f-\u009f]/g;

/**
 * One topic level from an identifier.
 * @throws EquipoiseError EQ_TOPIC_INVALID when it is empty or longer than `limits.maxIdLength`
 */
export function encodeLevel(id: string): string {
  if (id.length === 0 || id.length > limits.maxIdLength || !id.isWellFormed()) {
    const form = `well-formed and of 1 to ${limits.maxIdLength} characters`;
    throw new EquipoiseError("EQ_TOPIC_INVALID", `the identifier ${JSON.stringify(id)} must be ${form}`);
  }
  return id.replace(breaksLevel, (character) => encodeURIComponent(character));
}

/** The identifier of one topic level, or `undefined` when the level is not properly encoded. */
export function decodeLevel(level: string): string | undefined {
  if (!level.includes("%")) return level;
  try {
    return decodeURIComponent(level);
  } catch {
    return undefined;
  }
}

/** A venue's symbol as the product writes it: upper case, `/` as `-`. */
export function normaliseSymbol(symbol: string): string {
  return symbol.toUpperCase().replaceAll("/", "-");
}

export const topics = {
  ticks: ({ venue, symbol, agentId }: StreamName): string =>
    `ticks/${encodeLevel(venue)}/${encodeLevel(symbol)}/${encodeLevel(agentId)}`,
  last: ({ venue, symbol, agentId }: StreamName): string =>
    `last/${encodeLevel(venue)}/${encodeLevel(symbol)}/${encodeLevel(agentId)}`,
  agentHeartbeat: (agentId: string): string => `heartbeat/agents/${encodeLevel(agentId)}`,
  memberHeartbeat: (clientId: string): string => `heartbeat/members/${encodeLevel(clientId)}`,
  brokerHeartbeat: (brokerId: string): string => `heartbeat/brokers/${encodeLevel(brokerId)}`,
  /** The heartbeats of whatever broker one is connected to. */
  everyBrokerHeartbeat: (): string => "heartbeat/brokers/+",
  reject: (clientId: string): string => `members/${encodeLevel(clientId)}/reject`,
  dead: (pool: string, topic: string): string => `dead/${encodeLevel(pool)}/${topic}`,
  /** Without a method: the filter of all of them. */
  request: (agentId: string, method?: string): string =>
    `agents/${encodeLevel(agentId)}/requests/${method === undefined ? "+" : encodeLevel(method)}`,
  /** Where an agent sends its answers to one client's requests. */
  reply: (clientId: string, name: string): string => `replies/${encodeLevel(clientId)}/${encodeLevel(name)}`,
  /** What a member subscribes to. */
  share: (pool: string, filter: string): string => `$share/${pool}/${filter}`,
} as const;

/** What a topic is about, for those that Equipoise itself acts on. */
export type TopicMeaning =
  | { kind: "memberHeartbeat"; clientId: string }
  | { kind: "reject"; clientId: string }
  | { kind: "brokerHeartbeat"; brokerId: string }
  | { kind: "agentHeartbeat"; agentId: string }
  | { kind: "request"; agentId: string; method: string }
  | ({ kind: "ticks" } & StreamName)
  | { kind: "other" };

const other: TopicMeaning = { kind: "other" };

/** Takes a topic apart; topics that mean nothing to Equipoise are `other`. */
export function parseTopic(topic: string): TopicMeaning {
  const levels = topic.split("/");
  const ids = levels.map(decodeLevel);
  const [, second, third, fourth] = ids;
  if (levels[0] === "ticks" && levels.length === 4 && second && third && fourth) {
    return { kind: "ticks", venue: second, symbol: third, agentId: fourth };
  }
  if (levels[0] === "members" && levels[2] === "reject" && levels.length === 3 && second) {
    return { kind: "reject", clientId: second };
  }
  if (levels[0] === "agents" && levels[2] === "requests" && levels.length === 4 && second && fourth) {
    return { kind: "request", agentId: second, method: fourth };
  }
  if (levels[0] === "heartbeat" && levels.length === 3 && third) return heartbeatMeaning(levels[1], third);
  return other;
}

function heartbeatMeaning(who: string | undefined, id: string): TopicMeaning {
  if (who === "members") return { kind: "memberHeartbeat", clientId: id };
  if (who === "brokers") return { kind: "brokerHeartbeat", brokerId: id };
  if (who === "agents") return { kind: "agentHeartbeat", agentId: id };
  return other;
}

/** A subscription, with the pool when it is a shared one. */
export interface ParsedFilter {
  pool: string | undefined;
  filter: string;
}

/**
 * Splits `$share/{pool}/{filter}`; any other filter has no pool.
 * @throws EquipoiseError EQ_TOPIC_INVALID
 */
export function parseFilter(text: string): ParsedFilter {
  if (!text.startsWith("$share/")) return { pool: undefined, filter: validFilter(text) };
  const end = text.indexOf("/", 7);
  const pool = end === -1 ? "" : text.slice(7, end);
  if (pool.length === 0 || pool.length > limits.maxIdLength || /[+#]/.test(pool)) {
    throw new EquipoiseError(
      "EQ_TOPIC_INVALID",
      `${JSON.stringify(text)} names no pool: $share/{pool}/{filter}`,
    );
  }
  return { pool, filter: validFilter(text.slice(end + 1)) };
}

function validFilter(filter: string): string {
  const fault = filterFault(filter);
  if (fault !== undefined)
    throw new EquipoiseError("EQ_TOPIC_INVALID", `the filter ${JSON.stringify(filter)} ${fault}`);
  return filter;
}

/** What is wrong with a topic filter, or `undefined` [MQTT-4.7.1-2] [MQTT-4.7.1-3]. */
export function filterFault(filter: string): string | undefined {
  const levels = filter.split("/");
  const shape = shapeFault(filter, levels.length);
  if (shape !== undefined) return shape;
  for (const [index, level] of levels.entries()) {
    if (level.includes("#") && (level !== "#" || index !== levels.length - 1))
      return "has # not alone in its last level";
    if (level.includes("+") && level !== "+") return "has + not alone in its level";
  }
  return undefined;
}

/** What is wrong with a topic name to publish to, or `undefined` [MQTT-3.3.2-2] [MQTT-4.7.3-1]. */
export function topicFault(topic: string): string | undefined {
  if (/[+#]/.test(topic)) return "has a wildcard";
  return shapeFault(topic, topic.split("/").length);
}

function shapeFault(text: string, levels: number): string | undefined {
  if (text.length === 0) return "is empty";
  if (text.includes("\u0000")) return "has the character U+0000";
  if (Buffer.byteLength(text) > limits.maxTopicBytes) return `is longer than ${limits.maxTopicBytes} bytes`;
  if (levels > limits.maxTopicLevels) return `has more than ${limits.maxTopicLevels} levels`;
  return undefined;
}
