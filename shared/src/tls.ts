/** A client's side of TLS: its certificate files, and what is wrong when there is no agreement with the broker. */
import { readAuthority, readIdentity } from "./certificate-files.ts";
import { EquipoiseError, systemCode } from "./errors.ts";

/** Certificates and keys in PEM, for `mqtts` and `wss`. */
export interface TlsOptions {
  /** The authorities of the broker's certificate; the system's when absent. */
  ca?: string | Buffer;
  /** The client's certificate. */
  cert?: string | Buffer;
  /** Its private key. */
  key?: string | Buffer;
}

/** The same, or what reads them anew for each connection, because they may be renewed meanwhile. */
export type TlsSource = TlsOptions | (() => TlsOptions);

/** @throws EquipoiseError EQ_TLS_UNUSABLE and whatever else the source throws */
export const tlsNow = (source: TlsSource | undefined): TlsOptions | undefined =>
  typeof source === "function" ? source() : source;

export interface TlsClientFiles {
  caFile: string | undefined;
  certFile: string | undefined;
  keyFile: string | undefined;
}

/**
 * Reads and checks the files; those that are not set are left out.
 * @throws EquipoiseError EQ_TLS_UNUSABLE naming the file
 */
export function readTlsFiles({ caFile, certFile, keyFile }: TlsClientFiles): TlsOptions {
  return {
    ...(caFile === undefined ? {} : { ca: readAuthority(caFile) }),
    ...identityOf(certFile, keyFile),
  };
}

function identityOf(certFile: string | undefined, keyFile: string | undefined): TlsOptions {
  if (certFile === undefined && keyFile === undefined) return {};
  if (certFile !== undefined && keyFile !== undefined) return readIdentity(certFile, keyFile);
  const [given, missing] = certFile === undefined ? ["keyFile", "certFile"] : ["certFile", "keyFile"];
  throw new EquipoiseError("EQ_TLS_UNUSABLE", `${given} is set, ${missing} is not`);
}

/** OpenSSL's words for a certificate that is not believed, and Node's for a handshake that failed. */
const tlsCode =
  /^(ERR_SSL_|ERR_TLS_|EPROTO|CERT_|UNABLE_TO_|SELF_SIGNED_CERT|DEPTH_ZERO_|INVALID_CA|HOSTNAME_MISMATCH)/;

/** Whether a connection failed because client and broker do not accept each other's certificates or versions. */
export function isTlsFailure(error: unknown): boolean {
  return tlsCode.test(systemCode(error) ?? "");
}

/**
 * Why a connection ended that ended without an error.
 * @param accepted whether the broker had accepted it
 */
export function closedReason(url: string, accepted: boolean): string {
  if (accepted) return "the broker closed the connection";
  const hint = /^(mqtts|wss):/i.test(url)
    ? "; over TLS it may be that it does not accept this client's certificate, or needs one"
    : "";
  return `the broker closed the connection before it answered${hint}`;
}
