/** What a message brings with it is drawn with the message, so that every system is given exactly the same. */
export interface Message {
  readonly id: number;
  /** When the publisher meant to send it; latencies count from here. */
  readonly intendedMs: number;
  /** Work that it is, in milliseconds of a member of rate 1. */
  readonly demandMs: number;
  /** Uniform in (0, 1): a member that rejects a share of its messages rejects those below that share. */
  readonly luck: number;
  /** Network to the member, and back. */
  readonly outMs: number;
  readonly backMs: number;
}
