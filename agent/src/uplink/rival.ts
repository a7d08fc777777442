/**
 * Notices that a broker ends good connections again and again, as it does when two clients with one id take the place of
 * each other.
 */

const withinMs = 60_000;
const least = 3;

export class Rival {
  readonly #lostMs: number[] = [];

  /** A connection that was up is lost. @param nowMs monotonic @returns whether that has become a habit */
  lost(nowMs: number): boolean {
    this.#lostMs.push(nowMs);
    if (this.#lostMs.length > least) this.#lostMs.shift();
    const [first = nowMs] = this.#lostMs;
    return this.#lostMs.length === least && nowMs - first <= withinMs;
  }
}
