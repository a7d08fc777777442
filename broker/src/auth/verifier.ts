/**
 * Checks passwords, a few at a time, so that a crowd that reconnects neither fills the thread pool nor the memory. A
 * password that was right is recognised again without the costly hash: by a digest under a key that lives and dies with
 * the process.
 */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import { EquipoiseError } from "@equipoise/shared";
import { matchesHash } from "./password.ts";

/** Costs as much as a real one and matches nothing: unknown users cannot be told by the time it takes. */
const nobodysHash = `$scrypt$ln=14,r=8,p=5$${"A".repeat(22)}$${"A".repeat(43)}`;

export interface VerifierLimits {
  maxConcurrent: number;
  /** Checks that wait for their turn; one more is refused. */
  maxWaiting: number;
}

export class Verifier {
  readonly #limits: VerifierLimits;
  readonly #key = randomBytes(32);
  /** By hash, the digest of the password that matched it. */
  readonly #proven = new Map<string, Buffer>();
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(limits: VerifierLimits = { maxConcurrent: 2, maxWaiting: 1_024 }) {
    this.#limits = limits;
  }

  /**
   * True when the password is that of the hash; without a hash never, after the same work.
   * @throws EquipoiseError EQ_LIMIT_REACHED
   */
  async verify(password: Buffer, hash: string | undefined): Promise<boolean> {
    const proven = hash === undefined ? undefined : this.#proven.get(hash);
    const digest = createHmac("sha256", this.#key).update(password).digest();
    if (proven !== undefined && timingSafeEqual(proven, digest)) return true;
    const right = await this.#inTurn(() => matchesHash(password, hash ?? nobodysHash));
    if (!right || hash === undefined) return false;
    this.#proven.set(hash, digest);
    return true;
  }

  /** Forgets what was proven; for when the users are read again. */
  forget(): void {
    this.#proven.clear();
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    if (this.#running < this.#limits.maxConcurrent) this.#running++;
    else await this.#wait();
    try {
      return await work();
    } finally {
      // The place is handed on as it is, so that nobody who comes later can take it first.
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }

  #wait(): Promise<void> {
    const { maxWaiting } = this.#limits;
    if (this.#waiting.length >= maxWaiting)
      throw new EquipoiseError(
        "EQ_LIMIT_REACHED",
        `${maxWaiting} clients wait for their passwords to be checked`,
      );
    return new Promise((resolve) => this.#waiting.push(resolve));
  }
}
