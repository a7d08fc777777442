import { type Command, readArgs, usage } from "@equipoise/shared";
import { hashPassword } from "../auth/password.ts";
import { type Role, roleNames } from "../auth/roles.ts";
import { userNameFault } from "../auth/users-file.ts";
import { readPassword } from "./password-input.ts";
import { UsersDocument } from "./users-document.ts";

const help = `equipoise-broker users: edits the users file; a running broker reads it again on SIGHUP

Usage: equipoise-broker users add|passwd|remove NAME --users-file FILE [OPTION …]
       equipoise-broker users list --users-file FILE

  --users-file FILE  the file (EQUIPOISE_USERS_FILE); made by the first add, readable by its owner only
  --role ROLE        with add: ${roleNames.join(", ")}; without one, only what is written by hand is granted
  --password-stdin   read the password from standard input instead of asking for it
  --no-password      with add: the user comes with a client certificate only
`;

const options = {
  "users-file": { type: "string" },
  role: { type: "string" },
  "password-stdin": { type: "boolean", default: false },
  "no-password": { type: "boolean", default: false },
} as const;

interface Request {
  document: UsersDocument;
  name: string;
  role: Role | undefined;
  /** Undefined for a user without a password. */
  hash: () => Promise<string | undefined>;
}

const actions: Readonly<Record<string, (request: Request) => Promise<void>>> = { add, passwd, remove };

export const users: Command = {
  help,
  async run(args, env) {
    const { values, positionals } = readArgs(args, options);
    const [action = "", name, ...more] = positionals;
    const path = values["users-file"] ?? env.EQUIPOISE_USERS_FILE;
    if (path === undefined) throw usage("--users-file is missing");
    if (action === "list" && name === undefined) return list(await UsersDocument.open(path));
    const act = Object.hasOwn(actions, action) ? actions[action] : undefined;
    if (act === undefined) throw usage(`${action || "nothing"} is not one of add, passwd, remove, list NAME`);
    if (name === undefined || more.length > 0) throw usage(`${action} takes one NAME`);
    const document = await UsersDocument.open(path);
    const hash = async () =>
      values["no-password"] ? undefined : hashPassword(await readPassword(values["password-stdin"]));
    await act({ document, name, role: roleOf(values.role), hash });
    await document.save();
  },
};

async function add({ document, name, role, hash }: Request): Promise<void> {
  const fault = userNameFault(name);
  if (fault !== undefined) throw usage(`the name ${JSON.stringify(name)} ${fault}`);
  if (document.has(name)) throw usage(`${name} exists already; passwd changes the password`);
  const secret = await hash();
  document.add({
    name,
    ...(secret === undefined ? {} : { hash: secret }),
    ...(role === undefined ? {} : { role }),
  });
}

async function passwd({ document, name, hash }: Request): Promise<void> {
  requireUser(document, name);
  const secret = await hash();
  if (secret === undefined) throw usage("passwd sets a password");
  document.setHash(name, secret);
}

async function remove({ document, name }: Request): Promise<void> {
  requireUser(document, name);
  document.remove(name);
}

function list(document: UsersDocument): void {
  for (const { name, role = "-", hash } of document.content().users) {
    process.stdout.write(`${name}\t${role}\t${hash === undefined ? "certificate" : "password"}\n`);
  }
}

function requireUser(document: UsersDocument, name: string): void {
  if (!document.has(name)) throw usage(`there is no user ${name}`);
}

function roleOf(text: string | undefined): Role | undefined {
  const role = roleNames.find((known) => known === text);
  if (text !== undefined && role === undefined)
    throw usage(`--role is ${text}, must be one of ${roleNames.join(", ")}`);
  return role;
}
