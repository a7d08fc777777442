/** The newest trade ids of a symbol whose ids have no order to rely on; knows what comes twice. */

/** A minute of the busiest market; beyond, the oldest are forgotten. */
const maxIds = 8_192;

export class RecentIds {
  /** In order of arrival. */
  readonly #ids = new Set<string>();

  /** True when the id was not known; from now on it is. */
  add(id: string): boolean {
    if (this.#ids.has(id)) return false;
    this.#ids.add(id);
    if (this.#ids.size <= maxIds) return true;
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest);
      break;
    }
    return true;
  }
}
