/** Time as it is injected everywhere, so that tests are exact. */
export interface Clock {
  /** Wall clock, milliseconds since 1970; it may step. For people and records only. */
  wallMs(): number;
  /** Monotonic milliseconds with fraction; for every duration, timeout and order. */
  monotonicMs(): number;
  /** Calls back after `delayMs`; the returned function cancels. The timer does not keep the process alive. */
  after(delayMs: number, callback: () => void): () => void;
  /** Calls back every `periodMs` until cancelled. */
  every(periodMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
  every(periodMs, callback) {
    const timer = setInterval(callback, periodMs);
    timer.unref();
    return () => clearInterval(timer);
  },
};
