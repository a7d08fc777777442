/** Passwords from people and scripts; never from the command line, which every process can read. */

import { createInterface } from "node:readline/promises";
import { Writable } from "node:stream";
import { usage } from "@equipoise/shared";

/** @throws EquipoiseError EQ_USAGE for an empty password, or when there is nobody to ask */
export async function readPassword(fromStdin: boolean): Promise<Buffer> {
  const password = fromStdin ? await readAll() : await ask();
  if (password === "") throw usage("the password is empty");
  return Buffer.from(password);
}

async function readAll(): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of process.stdin) parts.push(part);
  return Buffer.concat(parts)
    .toString("utf8")
    .replace(/\r?\n$/, "");
}

async function ask(): Promise<string> {
  if (!process.stdin.isTTY) throw usage("no terminal to ask for the password; say --password-stdin");
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const reader = createInterface({ input: process.stdin, output: silent, terminal: true });
  // Without a listener Ctrl-C would only end the reading.
  reader.on("SIGINT", () => process.exit(130));
  try {
    const first = await askOnce(reader, "Password: ");
    const second = await askOnce(reader, "Again: ");
    if (first !== second) throw usage("the passwords differ");
    return first;
  } finally {
    reader.close();
  }
}

async function askOnce(reader: { question(text: string): Promise<string> }, text: string): Promise<string> {
  process.stderr.write(text);
  const answer = await reader.question("");
  process.stderr.write("\n");
  return answer;
}
