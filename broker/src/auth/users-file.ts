/** The users file: who exists, how each is recognised, and what each may do. Written by `equipoise-broker users`. */
import { readFile } from "node:fs/promises";
import { EquipoiseError, filterFault, limits, reasonOf } from "@equipoise/shared";
import { parse } from "yaml";
import * as z from "zod";
import { isPasswordHash } from "./password.ts";
import { roleNames } from "./roles.ts";

const name = z
  .string()
  .min(1)
  .max(limits.maxIdLength)
  .regex(/^[^\s\p{Cc}]+$/u, "must have no spaces and no control characters");
const filter = z.string().refine((value) => filterFault(value) === undefined, "must be a topic filter");
const filters = z.array(filter).default([]);

const user = z.strictObject({
  name,
  /** Absent for a user that comes only with a certificate. */
  hash: z.string().refine(isPasswordHash, "must be a hash as `equipoise-broker users` writes it").optional(),
  role: z.enum(roleNames).optional(),
  /** Client ids that the user may take; `*` stands for any text, `%u` for the user name. */
  clientIds: z.array(z.string().min(1)).optional(),
  publish: filters,
  subscribe: filters,
});

const usersFile = z.strictObject({
  users: z
    .array(user)
    .default([])
    .refine((all) => new Set(all.map((one) => one.name)).size === all.length, "user names must differ"),
  /** What everybody may do. */
  patterns: z.strictObject({ publish: filters, subscribe: filters }).default({ publish: [], subscribe: [] }),
});

export type User = z.infer<typeof user>;
export type UsersFile = z.infer<typeof usersFile>;

/** What a name must be, or undefined when it is a good one. */
export function userNameFault(text: string): string | undefined {
  const result = name.safeParse(text);
  return result.success ? undefined : (result.error.issues[0]?.message ?? "is not allowed");
}

/** @throws EquipoiseError EQ_USERS_INVALID with the path of the file and the place in it */
export async function readUsersFile(path: string): Promise<UsersFile> {
  let content: unknown;
  try {
    content = parse(await readFile(path, "utf8"));
  } catch (error) {
    const reason = reasonOf(error).replace(/:? at line.*$/, (at) => at.split(": ")[0] ?? "");
    throw new EquipoiseError("EQ_USERS_INVALID", `${path}: ${reason}`, { cause: error });
  }
  return checkUsersFile(path, content ?? {});
}

/** @throws EquipoiseError EQ_USERS_INVALID */
export function checkUsersFile(path: string, content: unknown): UsersFile {
  const result = usersFile.safeParse(content);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const place = issue === undefined || issue.path.length === 0 ? "the top level" : issue.path.join(".");
  throw new EquipoiseError("EQ_USERS_INVALID", `${path}: ${place}: ${issue?.message ?? "not allowed"}`);
}
