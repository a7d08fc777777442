/** Certificates and keys in PEM files, checked before anything relies on them. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { EquipoiseError, reasonOf } from "./errors.ts";

/** The certificates of those who may have signed the other side's. @throws EquipoiseError EQ_TLS_UNUSABLE */
export function readAuthority(caFile: string): Buffer {
  const ca = read(caFile);
  attempt(caFile, () => new X509Certificate(ca));
  return ca;
}

/** One's own certificate with its private key. @throws EquipoiseError EQ_TLS_UNUSABLE naming the file */
export function readIdentity(certFile: string, keyFile: string): { cert: Buffer; key: Buffer } {
  const [cert, key] = [read(certFile), read(keyFile)];
  const certificate = attempt(certFile, () => new X509Certificate(cert));
  const privateKey = attempt(keyFile, () => createPrivateKey(key));
  if (!certificate.checkPrivateKey(privateKey)) {
    throw new EquipoiseError("EQ_TLS_UNUSABLE", `${keyFile} is not the key of ${certFile}`);
  }
  attempt(certFile, () => createSecureContext({ cert, key }));
  return { cert, key };
}

function read(path: string): Buffer {
  return attempt(path, () => readFileSync(path));
}

function attempt<T>(path: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new EquipoiseError("EQ_TLS_UNUSABLE", `${path}: ${reasonOf(error)}`, { cause: error });
  }
}
