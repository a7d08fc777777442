import type { Admission, Authoriser, Credentials } from "./authoriser.ts";
import type { Failures } from "./failures.ts";

/** Another authoriser, asked only for addresses that have not failed too often. */
export class Limited implements Authoriser {
  readonly #inner: Authoriser;
  readonly #failures: Failures;
  readonly #onFailed: (credentials: Credentials, reason: string) => void;

  /** @param onFailed told of every refused attempt */
  constructor(
    inner: Authoriser,
    failures: Failures,
    onFailed: (credentials: Credentials, reason: string) => void,
  ) {
    this.#inner = inner;
    this.#failures = failures;
    this.#onFailed = onFailed;
  }

  async admit(credentials: Credentials): Promise<Admission> {
    if (this.#failures.blocks(credentials.address)) return { refusal: "too many failed attempts" };
    const admission = await this.#inner.admit(credentials);
    if ("refusal" in admission) {
      this.#failures.record(credentials.address);
      this.#onFailed(credentials, admission.refusal);
    }
    return admission;
  }
}
