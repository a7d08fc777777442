/** Certificate files for TLS: read, checked, and turned into what Node takes. */
import { constants } from "node:crypto";
import type { SecureContextOptions } from "node:tls";
import { EquipoiseError, readAuthority, readIdentity } from "@equipoise/shared";

export interface TlsFiles {
  /** PEM: the server's certificate, and those between it and its authority. */
  certFile: string | undefined;
  /** PEM: its private key. */
  keyFile: string | undefined;
  /** PEM: the authorities of client certificates. */
  caFile: string | undefined;
}

/** @throws EquipoiseError EQ_TLS_UNUSABLE naming the file */
export function readCertificates(files: TlsFiles): SecureContextOptions {
  const certFile = required("tls.certFile", files.certFile);
  const keyFile = required("tls.keyFile", files.keyFile);
  // No session is resumed where certificates count: each connection is checked against the authorities of now.
  const authority =
    files.caFile === undefined
      ? {}
      : { ca: readAuthority(files.caFile), secureOptions: constants.SSL_OP_NO_TICKET };
  return { ...readIdentity(certFile, keyFile), ...authority, minVersion: "TLSv1.2" };
}

function required(setting: string, path: string | undefined): string {
  if (path === undefined) throw new EquipoiseError("EQ_TLS_UNUSABLE", `${setting} is not set`);
  return path;
}
