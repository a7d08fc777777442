import type { Disturb } from "../scenario/scenario.ts";

interface Unhealthy {
  /** How many of the members, from the first. */
  count: number;
  factor: number;
  /** Share of their messages that they reject. */
  rejects: number;
  beginMs: number;
  lengthMs: number;
}

/** For a while some members are slower and reject a share of what they get. */
export function unhealthy({ count, factor, rejects, beginMs, lengthMs }: Unhealthy): Disturb {
  return ({ timeline, presences, ledger }) => {
    const ill = presences.slice(0, count);
    timeline.after(beginMs, () => {
      ledger.disturbed({ beginMs, endMs: beginMs + lengthMs });
      for (const { member } of ill) {
        member.slow(factor);
        member.reject(rejects);
      }
    });
    timeline.after(beginMs + lengthMs, () => {
      for (const { member } of ill) {
        member.slow(1);
        member.reject(0);
      }
    });
  };
}
