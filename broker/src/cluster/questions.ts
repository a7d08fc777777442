/** What a connection was asked and has not answered. A long answer is no silence as long as bytes of it come. */
export class Questions {
  readonly #open = new Set<{ dueMs: number }>();
  #bytesRead = 0;
  #heardMs = 0;

  /** @param waitMs how long the answer may take by itself */
  begin(nowMs: number, waitMs = 0): { dueMs: number } {
    const question = { dueMs: nowMs + waitMs };
    this.#open.add(question);
    return question;
  }

  end(question: { dueMs: number }): void {
    this.#open.delete(question);
  }

  /** The connection is a new one, or nobody could listen: silence begins anew. */
  excuse(nowMs: number): void {
    this.#heardMs = nowMs;
  }

  forget(): void {
    this.#open.clear();
  }

  /**
   * For how long the oldest question has had no answer, nor anything else has come; 0 when nothing was asked.
   * @param bytesRead of the connection until now
   */
  silenceMs(nowMs: number, bytesRead: number): number {
    if (bytesRead !== this.#bytesRead) this.#heardMs = nowMs;
    this.#bytesRead = bytesRead;
    const [oldest] = this.#open;
    return oldest === undefined ? 0 : nowMs - Math.max(oldest.dueMs, this.#heardMs);
  }
}
