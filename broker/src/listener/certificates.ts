/** Certificate files for TLS: read, checked, and turned into what Node takes. */
import { constants, createPrivateKey, X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { createSecureContext, type SecureContextOptions } from "node:tls";
import { EquipoiseError, reasonOf } from "@equipoise/shared";

export interface TlsFiles {
  /** PEM: the server's certificate, and those between it and its authority. */
  certFile: string | undefined;
  /** PEM: its private key. */
  keyFile: string | undefined;
  /** PEM: the authorities of client certificates. */
  caFile: string | undefined;
}

/** @throws EquipoiseError EQ_TLS_UNUSABLE naming the file */
export async function readCertificates(files: TlsFiles): Promise<SecureContextOptions> {
  const cert = await readSetting("tls.certFile", files.certFile);
  const key = await readSetting("tls.keyFile", files.keyFile);
  const ca = files.caFile === undefined ? undefined : await readSetting("tls.caFile", files.caFile);
  const leaf = attempt(files.certFile, () => new X509Certificate(cert));
  const privateKey = attempt(files.keyFile, () => createPrivateKey(key));
  if (!leaf.checkPrivateKey(privateKey))
    throw new EquipoiseError("EQ_TLS_UNUSABLE", `${files.keyFile} is not the key of ${files.certFile}`);
  if (ca !== undefined) attempt(files.caFile, () => new X509Certificate(ca));
  const options: SecureContextOptions = {
    cert,
    key,
    minVersion: "TLSv1.2",
    // No session is resumed where certificates count: each connection is checked against the authorities of now.
    ...(ca === undefined ? {} : { ca, secureOptions: constants.SSL_OP_NO_TICKET }),
  };
  attempt(files.certFile, () => createSecureContext(options));
  return options;
}

async function readSetting(setting: string, path: string | undefined): Promise<Buffer> {
  if (path === undefined) throw new EquipoiseError("EQ_TLS_UNUSABLE", `${setting} is not set`);
  try {
    return await readFile(path);
  } catch (error) {
    throw new EquipoiseError("EQ_TLS_UNUSABLE", `${path}: ${reasonOf(error)}`, { cause: error });
  }
}

function attempt<T>(path: string | undefined, make: () => T): T {
  try {
    return make();
  } catch (error) {
    throw new EquipoiseError("EQ_TLS_UNUSABLE", `${path}: ${reasonOf(error)}`, { cause: error });
  }
}
