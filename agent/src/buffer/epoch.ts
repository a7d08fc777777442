/** Epochs: sortable like ULIDs, 48 bits of milliseconds and 80 bits of randomness in Crockford's base 32. */
import type { Clock } from "@equipoise/shared";

const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
const timeDigits = 10;
const randomDigits = 16;

/** @param random uniform in [0, 1) */
export function createEpoch(clock: Clock, random: () => number): string {
  let text = timeText(Math.floor(clock.wallMs()));
  for (let n = 0; n < randomDigits; n += 1) text += digits.charAt(Math.floor(random() * 32));
  return text;
}

/** `fresh`, moved behind `previous` when the wall clock was set back between the two. */
export function epochAfter(previous: string, fresh: string): string {
  if (fresh > previous) return fresh;
  let timeMs = 0;
  for (const digit of previous.slice(0, timeDigits)) timeMs = timeMs * 32 + digits.indexOf(digit);
  return timeText(timeMs + 1) + fresh.slice(timeDigits);
}

function timeText(timeMs: number): string {
  let text = "";
  for (let rest = timeMs; text.length < timeDigits; rest = Math.floor(rest / 32)) {
    text = digits.charAt(rest % 32) + text;
  }
  return text;
}
