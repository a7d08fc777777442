import type { TopicMeaning } from "@equipoise/shared";
import type { Authoriser } from "./authoriser.ts";

/**
 * Everybody who reaches the listener may connect, publish and subscribe. Only what is said in somebody's name stays
 * protected even here: heartbeats and rejections come from the client itself, broker heartbeats from no client at all.
 */
export class Anonymous implements Authoriser {
  refusal(): undefined {
    return undefined;
  }

  mayPublish(clientId: string, topic: string, meaning: TopicMeaning): boolean {
    switch (meaning.kind) {
      case "memberHeartbeat":
      case "reject":
        return meaning.clientId === clientId;
      case "agentHeartbeat":
        return meaning.agentId === clientId;
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
