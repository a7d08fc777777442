/** Certificates, users files and connections with credentials, for the tests of auth and listeners. */
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { hashPassword } from "../../broker/src/auth/password.ts";
import {
  createAuthority,
  type Issued,
  issueDevice,
  issueServer,
} from "../../broker/src/commands/authority.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { type AnyPacket, MqttClient } from "../support/mqtt-client.ts";
import type { Teardown } from "../support/teardown.ts";

export interface Certificates {
  dir: string;
  caFile: string;
  certFile: string;
  keyFile: string;
  /** What a broker is started with. */
  args: string[];
  /** Writes a new server certificate over the old one. */
  renewServer(commonName: string): Promise<void>;
  device(name: string): Promise<{ certFile: string; keyFile: string }>;
}

export async function makeCertificates(t: Teardown): Promise<Certificates> {
  const dir = await temporaryDirectory(t);
  const subject = (commonName: string) => ({ commonName, days: 2, nowMs: Date.now() });
  const authority = await createAuthority(subject("test CA"));
  const write = async (name: string, { certificate, key }: Issued) => {
    const files = { certFile: join(dir, `${name}.crt`), keyFile: join(dir, `${name}.key`) };
    await writeFile(files.certFile, certificate);
    await writeFile(files.keyFile, key);
    await chmod(files.keyFile, 0o600);
    return files;
  };
  const renewServer = async (commonName: string): Promise<void> => {
    await write("server", await issueServer(authority, subject(commonName), ["localhost", "127.0.0.1"]));
  };
  await write("ca", authority);
  await renewServer("first");
  const caFile = join(dir, "ca.crt");
  const [certFile, keyFile] = [join(dir, "server.crt"), join(dir, "server.key")];
  const args = ["--tls-cert-file", certFile, "--tls-key-file", keyFile];
  const device = async (name: string) => write(name, await issueDevice(authority, subject(name)));
  return { dir, caFile, certFile, keyFile, args, renewServer, device };
}

let knownHash: Promise<string> | undefined;

/** A users file; `HASH` in it stands for the hash of the password `secret`. */
export async function writeUsers(path: string, yaml: string): Promise<void> {
  knownHash ??= hashPassword(Buffer.from("secret"));
  const hash = JSON.stringify(await knownHash);
  await writeFile(
    path,
    yaml.replaceAll("HASH", () => hash),
  );
}

export interface Login {
  clientId?: string;
  username?: string;
  password?: string;
  clean?: boolean;
  will?: object;
}

/** Connects with credentials; the returned client has its CONNACK's return code. */
export async function login(
  t: Teardown,
  port: number,
  options: Login,
): Promise<MqttClient & { connack: AnyPacket }> {
  const { username, clientId = username ?? "", password = "secret", clean = true, will } = options;
  const client = await MqttClient.open(t, port);
  const identity = username === undefined ? {} : { username, password };
  const base = { cmd: "connect", clientId, clean, keepalive: 0, protocolId: "MQTT", protocolVersion: 4 };
  client.send({ ...base, ...identity, ...(will === undefined ? {} : { will }) });
  return Object.assign(client, { connack: await client.next("connack") });
}
