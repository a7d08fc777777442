/** True when a filter matches a topic; wildcards at the front do not match topics that begin with $ [MQTT-4.7.2-1]. */
export function matches(filter: string, topic: string): boolean {
  const wanted = filter.split("/");
  const levels = topic.split("/");
  if (topic.startsWith("$") && (wanted[0] === "#" || wanted[0] === "+")) return false;
  for (const [at, name] of wanted.entries()) {
    if (name === "#") return true;
    if (at >= levels.length || (name !== "+" && name !== levels[at])) return false;
  }
  return wanted.length === levels.length;
}
