/**
 * A users file in force: whoever is not in it is refused, and what is not granted is denied. Accesses given out look at
 * the table as it is now, so reading the file again changes what connected clients may do.
 */
import { EquipoiseError, reasonOf } from "@equipoise/shared";
import type { Access, Admission, Authoriser, Credentials } from "./authoriser.ts";
import { Grants, type Identity, type Patterns } from "./grants.ts";
import { roles } from "./roles.ts";
import { readUsersFile, type User, type UsersFile } from "./users-file.ts";
import { Verifier } from "./verifier.ts";

/** Client ids that an agent takes: its user name, and for `equipoise-agent doctor` one that throws no agent out. */
const agentIds = ["%u", "%u-doctor"];

export interface UsersOptions {
  path: string;
  /** A client without a user name is let in, and may do what the patterns for everybody allow. */
  allowAnonymous: boolean;
}

export class Users implements Authoriser {
  readonly #options: UsersOptions;
  readonly #verifier = new Verifier();
  #users: ReadonlyMap<string, User> = new Map();
  #patterns: Patterns = { publish: [], subscribe: [] };
  #revision = 0;

  constructor(options: UsersOptions) {
    this.#options = options;
  }

  /** Changes whenever the file has been read. */
  get revision(): number {
    return this.#revision;
  }

  get count(): number {
    return this.#users.size;
  }

  /**
   * Reads the file; a broken one leaves what is in force.
   * @throws EquipoiseError EQ_USERS_INVALID
   */
  async load(): Promise<void> {
    this.#take(await readUsersFile(this.#options.path));
  }

  #take({ users, patterns }: UsersFile): void {
    this.#users = new Map(users.map((user) => [user.name, user]));
    this.#patterns = patterns;
    this.#revision++;
    this.#verifier.forget();
  }

  async admit(credentials: Credentials): Promise<Admission> {
    const { clientId, userName, password, certifiedName } = credentials;
    if (certifiedName !== undefined && userName !== undefined && userName !== certifiedName)
      return { refusal: `the user name is not that of the certificate of ${certifiedName}` };
    const name = certifiedName ?? userName;
    if (name === undefined && !this.#options.allowAnonymous) return { refusal: "no user name" };
    const hash = certifiedName === undefined && name !== undefined ? this.#users.get(name)?.hash : undefined;
    if (certifiedName === undefined && name !== undefined) {
      const right = await this.#verifier.verify(password ?? Buffer.alloc(0), hash);
      if (!right) return { refusal: "bad user name or password" };
    }
    const access = new UserAccess(this, { clientId, userName: name }, hash);
    const refusal = access.refusal();
    return refusal === undefined ? { access } : { refusal };
  }

  /** Why a client may not be connected under this identity, or undefined. @param hash the one it has matched */
  refusal({ clientId, userName }: Identity, hash: string | undefined): string | undefined {
    const owner = this.#ownerOf(clientId);
    if (owner !== undefined && owner !== userName) return `the client identifier belongs to ${owner}`;
    if (userName === undefined) return this.#options.allowAnonymous ? undefined : "no user name";
    const user = this.#users.get(userName);
    if (user === undefined) return `no user ${userName}`;
    if (hash !== undefined && user.hash !== hash) return `the password of ${userName} was changed`;
    const allowed = user.clientIds ?? (user.role === "agent" ? agentIds : ["*"]);
    if (allowed.some((pattern) => fits(pattern, clientId, userName))) return undefined;
    return `${userName} may not take this client identifier`;
  }

  /** @throws EquipoiseError EQ_TOPIC_INVALID */
  grantsOf(identity: Identity): Grants {
    const user = identity.userName === undefined ? undefined : this.#users.get(identity.userName);
    const all = [this.#patterns, ...(user === undefined ? [] : [user])];
    if (user?.role !== undefined) all.push(roles[user.role]);
    const publish = all.flatMap((patterns) => patterns.publish);
    const subscribe = all.flatMap((patterns) => patterns.subscribe);
    return new Grants({ publish, subscribe }, identity);
  }

  /** The user whose name the client id is, or begins with before a `-`; the longest such name. */
  #ownerOf(clientId: string): string | undefined {
    let end = clientId.length;
    while (end > 0) {
      const name = clientId.slice(0, end);
      if (this.#users.has(name)) return name;
      end = clientId.lastIndexOf("-", end - 1);
    }
    return undefined;
  }
}

class UserAccess implements Access {
  readonly #users: Users;
  readonly #identity: Identity;
  readonly #hash: string | undefined;
  #grants: Grants | undefined;
  #revision = -1;

  constructor(users: Users, identity: Identity, hash: string | undefined) {
    this.#users = users;
    this.#identity = identity;
    this.#hash = hash;
  }

  refusal(): string | undefined {
    try {
      this.#current();
    } catch (error) {
      if (error instanceof EquipoiseError) return reasonOf(error);
      throw error;
    }
    return this.#users.refusal(this.#identity, this.#hash);
  }

  mayPublish(topic: string): boolean {
    return this.#current().mayPublish(topic);
  }

  maySubscribe(filter: string): boolean {
    return this.#current().maySubscribe(filter);
  }

  #current(): Grants {
    if (this.#grants === undefined || this.#revision !== this.#users.revision) {
      this.#grants = this.#users.grantsOf(this.#identity);
      this.#revision = this.#users.revision;
    }
    return this.#grants;
  }
}

function fits(pattern: string, clientId: string, userName: string): boolean {
  const [first = "", ...rest] = pattern.replaceAll("%u", () => userName).split("*");
  const last = rest.pop();
  if (last === undefined) return clientId === first;
  if (!clientId.startsWith(first)) return false;
  let at = first.length;
  for (const part of rest) {
    const found = clientId.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return clientId.length - last.length >= at && clientId.endsWith(last);
}
