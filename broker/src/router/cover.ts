/**
 * True when every topic that `wanted` matches is matched by `allowed` too: then whoever may read `allowed` may subscribe
 * to `wanted`. Exact, also for `#` matching its parent level and for topics that begin with `$`, which wildcards at the
 * front do not match [MQTT-4.7.1-2] [MQTT-4.7.2-1]. Both must be valid filters.
 */
export function covers(allowed: string, wanted: string): boolean {
  const outer = levelsOf(allowed);
  const inner = levelsOf(wanted);
  for (const [at, level] of outer.entries()) {
    if (level === "#") return true;
    const asked = inner[at];
    if (asked === undefined || asked === "#") return false;
    if (level === "+" ? at === 0 && asked.startsWith("$") : level !== asked) return false;
  }
  return outer.length === inner.length;
}

/**
 * A topic has at least one level and is not empty, so `#` alone is the same as `+/#`, and `/#`, whose parent level would
 * be the empty topic, is the same as `/+/#`.
 */
function levelsOf(filter: string): string[] {
  if (filter === "#") return ["+", "#"];
  return filter === "/#" ? ["", "+", "#"] : filter.split("/");
}
