/** Salted scrypt hashes in the usual text form `$scrypt$ln=14,r=8,p=5$salt$hash` (base64 without padding). */
import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from "node:crypto";

const form =
  /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]{11,86})\$([A-Za-z0-9+/]{22,86})$/;
/** 16 MiB and about a tenth of a second: one of the settings of the OWASP password storage cheat sheet. */
const cost = { ln: 14, r: 8, p: 5 };
const saltBytes = 16;
const hashBytes = 32;
/** A hash that would need more than this is no hash of ours, but a mistake that could stall the broker. */
const maxMemoryBytes = 64 * 2 ** 20;

interface Parameters {
  options: ScryptOptions;
  salt: Buffer;
  hash: Buffer;
}

export function isPasswordHash(text: string): boolean {
  return parse(text) !== undefined;
}

export async function hashPassword(password: Buffer): Promise<string> {
  const salt = randomBytes(saltBytes);
  const { ln, r, p } = cost;
  const hash = await derive(password, salt, hashBytes, optionsOf(ln, r, p));
  return `$scrypt$ln=${ln},r=${r},p=${p}$${base64(salt)}$${base64(hash)}`;
}

/** Works in the thread pool, and compares in constant time. A text that is no hash matches nothing. */
export async function matchesHash(password: Buffer, text: string): Promise<boolean> {
  const parameters = parse(text);
  if (parameters === undefined) return false;
  const { options, salt, hash } = parameters;
  return timingSafeEqual(await derive(password, salt, hash.length, options), hash);
}

function parse(text: string): Parameters | undefined {
  const match = form.exec(text);
  if (match === null) return undefined;
  const [, ln = "", r = "", p = "", salt = "", hash = ""] = match;
  const options = optionsOf(Number(ln), Number(r), Number(p));
  if (Number(r) === 0 || Number(p) === 0 || Number(ln) === 0) return undefined;
  if ((options.maxmem as number) > 2 * maxMemoryBytes) return undefined;
  return { options, salt: Buffer.from(salt, "base64"), hash: Buffer.from(hash, "base64") };
}

function optionsOf(ln: number, r: number, p: number): ScryptOptions {
  return { N: 2 ** ln, r, p, maxmem: 256 * 2 ** ln * r };
}

function derive(password: Buffer, salt: Buffer, length: number, options: ScryptOptions): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, length, options, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}

function base64(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}
