/** What messages are ordered by. */

/**
 * The key of a message; one without the field has its topic as key, so that it is ordered with its stream.
 * @param key `topic`, or a top-level field of the JSON record
 */
export function keyOf(topic: string, payload: () => Buffer, key: string): string {
  if (key === "topic") return topic;
  const value = fieldOf(payload(), key);
  return value === undefined ? `topic ${topic}` : `${typeof value} ${String(value)}`;
}

function fieldOf(payload: Buffer, name: string): unknown {
  try {
    const record: unknown = JSON.parse(payload.toString("utf8"));
    if (typeof record !== "object" || record === null || !Object.hasOwn(record, name)) return undefined;
    const value = (record as Record<string, unknown>)[name];
    return typeof value === "object" ? undefined : value;
  } catch {
    return undefined;
  }
}
