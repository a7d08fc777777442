import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Command, EquipoiseError, ensureDirectory, readArgs, reasonOf, usage } from "@equipoise/shared";
import { createAuthority, type Issued, issueDevice, issueServer, type Subject } from "./authority.ts";
import { createFile } from "./secret-file.ts";

const help = `equipoise-broker certs: a private certificate authority, and certificates of it

Usage: equipoise-broker certs ca [OPTION …]
       equipoise-broker certs server --host NAME [--host ADDRESS …] [OPTION …]
       equipoise-broker certs device NAME [OPTION …]

  --dir DIR    directory of the files (default certs): ca.crt, ca.key, server.crt, server.key, NAME.crt, NAME.key
  --host HOST  a name or address under which clients reach the server (repeatable)
  --days N     lifetime in days (default: ca 3650, server and device 825)
  --force      replace files that exist

A device's certificate makes it the user NAME. Keys are readable by their owner only. Keep ca.key off the broker's machine.
`;

const options = {
  dir: { type: "string", default: "certs" },
  host: { type: "string", multiple: true, default: [] as string[] },
  days: { type: "string" },
  force: { type: "boolean", default: false },
} as const;

/** Longest common name that X.509 allows. */
const maxNameLength = 64;
const maxDays = 36_500;

interface Request {
  dir: string;
  hosts: readonly string[];
  name: string | undefined;
  days: (fallback: number) => number;
  force: boolean;
}

const actions: Readonly<Record<string, (request: Request) => Promise<void>>> = { ca, server, device };

export const certs: Command = {
  help,
  async run(args) {
    const { values, positionals } = readArgs(args, options);
    const [action = "", name, ...more] = positionals;
    const act = Object.hasOwn(actions, action) ? actions[action] : undefined;
    if (act === undefined) throw usage(`${action || "nothing"} is not one of ca, server, device`);
    if (more.length > 0 || (action !== "device" && name !== undefined))
      throw usage(`${positionals.at(-1)} is too much`);
    const { dir, host: hosts, force } = values;
    await act({ dir, hosts, name, force, days: (fallback) => daysOf(values.days, fallback) });
  },
};

async function ca(request: Request): Promise<void> {
  const issued = await createAuthority(subjectOf("Equipoise private CA", request.days(3_650)));
  await write(request, "ca", issued);
}

async function server(request: Request): Promise<void> {
  const { hosts, days } = request;
  const [first] = hosts;
  if (first === undefined) throw usage("server takes at least one --host");
  const subject = subjectOf(first.slice(0, maxNameLength), days(825));
  await write(request, "server", await issueServer(await readAuthority(request), subject, hosts));
}

async function device(request: Request): Promise<void> {
  const { name = "", days } = request;
  // The name becomes a file name too.
  if (!/^[A-Za-z0-9_][A-Za-z0-9._-]*$/.test(name) || name.length > maxNameLength)
    throw usage(`device takes a NAME of 1 to ${maxNameLength} letters, digits, dots, - and _`);
  if (name === "ca" || name === "server") throw usage(`${name}.key is the name of another file`);
  await write(request, name, await issueDevice(await readAuthority(request), subjectOf(name, days(825))));
}

function subjectOf(commonName: string, days: number): Subject {
  return { commonName, days, nowMs: Date.now() };
}

function daysOf(text: string | undefined, fallback: number): number {
  const days = text === undefined ? fallback : Number(text);
  if (!Number.isInteger(days) || days < 1 || days > maxDays)
    throw usage(`--days is ${text}, must be an integer from 1 to ${maxDays}`);
  return days;
}

async function readAuthority({ dir }: Request): Promise<Issued> {
  try {
    const [certificate, key] = await Promise.all(
      ["ca.crt", "ca.key"].map((file) => readFile(join(dir, file), "utf8")),
    );
    return { certificate: certificate as string, key: key as string };
  } catch (error) {
    throw new EquipoiseError("EQ_TLS_UNUSABLE", `${reasonOf(error)}; certs ca makes it`, { cause: error });
  }
}

async function write({ dir, force }: Request, name: string, { certificate, key }: Issued): Promise<void> {
  const files = { key: join(dir, `${name}.key`), certificate: join(dir, `${name}.crt`) };
  try {
    ensureDirectory(dir);
    if (force) await Promise.all(Object.values(files).map((path) => rm(path, { force: true })));
    await createFile(files.key, key, 0o600);
    await createFile(files.certificate, certificate, 0o644).catch(async (error: unknown) => {
      await rm(files.key);
      throw error;
    });
  } catch (error) {
    if (error instanceof EquipoiseError) throw error;
    throw new EquipoiseError("EQ_TLS_UNUSABLE", reasonOf(error), { cause: error });
  }
  process.stdout.write(`${files.certificate}\n${files.key}\n`);
}
