import type { TopicMeaning } from "@equipoise/shared";
import type { Access, Admission, Authoriser, Credentials } from "./authoriser.ts";
import { Grants } from "./grants.ts";

/**
 * No users file: everybody who reaches the listener may connect, publish and subscribe. A client with a verified
 * certificate is held to its name: as client id the name itself or `{name}-…`, and it writes only under that id.
 */
export class Anonymous implements Authoriser {
  async admit({ clientId, certifiedName }: Credentials): Promise<Admission> {
    if (certifiedName === undefined) return { access: new OpenAccess(clientId) };
    if (clientId !== certifiedName && !clientId.startsWith(`${certifiedName}-`)) {
      return { refusal: `the client identifier is not that of the certificate of ${certifiedName}` };
    }
    const everything = { publish: ["#"], subscribe: ["#", "$SYS/#"] };
    const grants = new Grants(everything, { clientId, userName: certifiedName });
    return {
      access: {
        refusal: () => undefined,
        mayPublish: (topic) => grants.mayPublish(topic),
        maySubscribe: (filter) => grants.maySubscribe(filter),
      },
    };
  }
}

/** Only what is said in somebody's name is protected: heartbeats and rejections come from the client itself. */
class OpenAccess implements Access {
  readonly #clientId: string;

  constructor(clientId: string) {
    this.#clientId = clientId;
  }

  refusal(): undefined {
    return undefined;
  }

  mayPublish(topic: string, meaning: TopicMeaning): boolean {
    switch (meaning.kind) {
      case "memberHeartbeat":
      case "reject":
        return meaning.clientId === this.#clientId;
      case "agentHeartbeat":
        return meaning.agentId === this.#clientId;
      case "brokerHeartbeat":
        return false;
      default:
        return !topic.startsWith("$SYS/");
    }
  }

  maySubscribe(): boolean {
    return true;
  }
}
