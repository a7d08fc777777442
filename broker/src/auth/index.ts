/** What the composition root makes of `auth`: the authoriser that the configuration asks for. */
import type { Clock } from "@equipoise/shared";
import type { BrokerConfig } from "../config.ts";
import type { Events } from "../events.ts";
import { Anonymous } from "./anonymous.ts";
import type { Authoriser } from "./authoriser.ts";
import { Failures } from "./failures.ts";
import { Limited } from "./limited.ts";
import { Users } from "./users.ts";

export { requireSafety } from "./safety.ts";

export interface Auth {
  authoriser: Authoriser;
  failures: Failures;
  /** Absent without a users file. */
  users: Users | undefined;
}

export function createAuth(config: BrokerConfig, { events, clock }: { events: Events; clock: Clock }): Auth {
  const { usersFile: path, allowAnonymous } = config;
  const users = path === undefined ? undefined : new Users({ path, allowAnonymous });
  const failures = new Failures(config.auth, clock);
  const authoriser = new Limited(users ?? new Anonymous(), failures, (credentials, reason) => {
    const { clientId, address, userName = credentials.certifiedName ?? null } = credentials;
    events.emit({ event: "authentication.failed", address, clientId, userName, reason });
  });
  return { authoriser, failures, users };
}
