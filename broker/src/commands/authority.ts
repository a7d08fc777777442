/** A private certificate authority: ECDSA P-256, certificates for servers and for devices. */
import "reflect-metadata";
import { randomBytes, type webcrypto } from "node:crypto";
import { isIP } from "node:net";
import * as x509 from "@peculiar/x509";

const algorithm = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" };
/** Devices without a clock of their own may begin some time in the past. */
const backdatedMs = 86_400_000;
const dayMs = 86_400_000;

/** A certificate with its key, both as PEM. */
export interface Issued {
  certificate: string;
  key: string;
}

export interface Subject {
  commonName: string;
  days: number;
  nowMs: number;
}

export async function createAuthority(subject: Subject): Promise<Issued> {
  const keys = await createKeys();
  const { KeyUsageFlags } = x509;
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...fields(subject),
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: pem(certificate), key: await keyPem(keys.privateKey) };
}

/** @param hosts names and addresses under which clients reach the server */
export function issueServer(authority: Issued, subject: Subject, hosts: readonly string[]): Promise<Issued> {
  const names = hosts.map((value) => ({
    type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const),
    value,
  }));
  return issue(authority, subject, x509.ExtendedKeyUsage.serverAuth, [
    new x509.SubjectAlternativeNameExtension(names),
  ]);
}

/** A client certificate: its common name is the user name at the broker. */
export function issueDevice(authority: Issued, subject: Subject): Promise<Issued> {
  return issue(authority, subject, x509.ExtendedKeyUsage.clientAuth, []);
}

async function issue(
  authority: Issued,
  subject: Subject,
  use: string,
  more: readonly x509.Extension[],
): Promise<Issued> {
  const keys = await createKeys();
  const issuer = new x509.X509Certificate(authority.certificate);
  const certificate = await x509.X509CertificateGenerator.create({
    ...fields(subject),
    issuer: issuer.subject,
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.key),
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([use]),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(issuer.publicKey),
      ...more,
    ],
  });
  return { certificate: pem(certificate), key: await keyPem(keys.privateKey) };
}

function fields({ commonName, days, nowMs }: Subject) {
  const serial = randomBytes(16);
  // A serial number is positive and has no superfluous zeros in front [RFC 5280, 4.1.2.2].
  serial[0] = ((serial[0] as number) & 0x7f) | 0x40;
  const name = [{ CN: [commonName] }];
  return {
    serialNumber: serial.toString("hex"),
    name,
    subject: name,
    notBefore: new Date(nowMs - backdatedMs),
    notAfter: new Date(nowMs + days * dayMs),
    signingAlgorithm: algorithm,
  };
}

function createKeys(): Promise<webcrypto.CryptoKeyPair> {
  return crypto.subtle.generateKey(algorithm, true, ["sign", "verify"]);
}

function importKey(text: string): Promise<webcrypto.CryptoKey> {
  const [bytes] = x509.PemConverter.decode(text);
  return crypto.subtle.importKey("pkcs8", bytes as ArrayBuffer, algorithm, false, ["sign"]);
}

async function keyPem(key: webcrypto.CryptoKey): Promise<string> {
  return `${x509.PemConverter.encode(await crypto.subtle.exportKey("pkcs8", key), "PRIVATE KEY")}\n`;
}

function pem(certificate: x509.X509Certificate): string {
  return `${certificate.toString("pem")}\n`;
}
