/** What the client of a connection may do, remembered, so that a known topic costs one look. */
import { parseFilter } from "@equipoise/shared";
import type { Access } from "../auth/authoriser.ts";
import type { Topic } from "../router/router.ts";

/** Topics whose authorisation a connection remembers; at the bound it starts anew. */
const maxRememberedTopics = 1_024;

export class Rights {
  readonly #mayPublish = new Map<Topic, boolean>();
  /** Undefined until the client has been admitted: then nothing is allowed. */
  #access: Access | undefined;

  admit(access: Access): void {
    this.#access = access;
  }

  mayPublish(topic: Topic): boolean {
    const known = this.#mayPublish.get(topic);
    if (known !== undefined) return known;
    const allowed = this.#access?.mayPublish(topic.name, topic.meaning) === true;
    if (this.#mayPublish.size >= maxRememberedTopics) this.#mayPublish.clear();
    this.#mayPublish.set(topic, allowed);
    return allowed;
  }

  maySubscribe(filter: string): boolean {
    return this.#access?.maySubscribe(filter) === true;
  }

  /** The first of these subscriptions, pools included, that is not allowed. */
  lost(subscriptions: Iterable<string>): string | undefined {
    for (const text of subscriptions) if (!this.maySubscribe(parseFilter(text).filter)) return text;
    return undefined;
  }

  /** The users were read again: why the client may not go on as it is, or undefined. */
  review(subscriptions: Iterable<string>): string | undefined {
    this.#mayPublish.clear();
    const refusal = this.#access?.refusal();
    if (refusal !== undefined) return refusal;
    const lost = this.lost(subscriptions);
    return lost === undefined ? undefined : `no longer authorised to subscribe to ${lost}`;
  }
}
