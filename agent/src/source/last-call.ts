/**
 * What others have sent already is still taken when a source is told to stop: until nothing came for a moment, or until
 * the time is up.
 */
import type { Clock } from "@equipoise/shared";

const quietMs = 100;

export class LastCall {
  readonly #clock: Clock;
  readonly #over: (isCut: boolean) => void;
  #begun = false;
  #came = 0;
  #cancelQuiet = (): void => {};
  #cancelEnd = (): void => {};

  /** @param over called once after {@link begin}; `isCut` when more came until the time was up */
  constructor(clock: Clock, over: (isCut: boolean) => void) {
    this.#clock = clock;
    this.#over = over;
  }

  begin(graceMs: number): void {
    this.#begun = true;
    this.#cancelEnd = this.#clock.after(graceMs, () => this.#finish(true));
    this.wait();
  }

  /** Something came and is being worked on. */
  came(): void {
    this.#came += 1;
    this.#cancelQuiet();
  }

  /** It is done, and nothing more is at hand. */
  wait(): void {
    if (!this.#begun) return;
    this.#cancelQuiet();
    const before = this.#came;
    // On a busy machine the time may be over before anybody has looked; the turn ends with a look.
    this.#cancelQuiet = this.#clock.after(quietMs, () =>
      setImmediate(() => this.#came === before && this.#finish(false)),
    );
  }

  /** There is nothing to wait for any more. */
  end(): void {
    this.#begun = false;
    this.#cancelQuiet();
    this.#cancelEnd();
  }

  #finish(isCut: boolean): void {
    if (!this.#begun) return;
    this.end();
    this.#over(isCut);
  }
}
