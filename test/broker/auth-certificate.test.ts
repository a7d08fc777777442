import { readFileSync } from "node:fs";
import { join } from "node:path";
import mqtt, { type IClientOptions } from "mqtt";
import { test } from "tap";
import { startProgram } from "../support/program.ts";
import { makeCertificates, writeUsers } from "./auth-fixtures.ts";

test("with a users file a certificate names one of its users, and a password is an alternative unless it is required", async (t) => {
  const certificates = await makeCertificates(t);
  const usersFile = join(certificates.dir, "users.yaml");
  await writeUsers(
    usersFile,
    `users: [{ name: pi-7, role: agent }, { name: pi-8, hash: HASH, role: agent }]`,
  );
  const args = [...certificates.args, "--tls-ca-file", certificates.caFile, "--users-file", usersFile];
  const listen = ["--listen", "mqtts://127.0.0.1:0", "--durability", "memory"];
  const program = startProgram(t, "broker", [...listen, ...args]);
  const [url] = (await program.event("ready")).listen as string[];
  const identity = async (name: string) => {
    const { certFile, keyFile } = await certificates.device(name);
    return { cert: readFileSync(certFile), key: readFileSync(keyFile) };
  };
  const connects = async (options: IClientOptions): Promise<boolean> => {
    const ca = readFileSync(certificates.caFile);
    const client = await mqtt
      .connectAsync(url as string, { ca, reconnectPeriod: 0, ...options }, false)
      .catch(() => undefined);
    await client?.endAsync();
    return client !== undefined;
  };
  const pi7 = await identity("pi-7");
  t.ok(await connects({ ...pi7, clientId: "pi-7" }), "a certificate, no password");
  t.ok(await connects({ ...pi7, clientId: "pi-7", username: "pi-7" }));
  t.notOk(
    await connects({ ...pi7, clientId: "pi-8", username: "pi-8", password: "secret" }),
    "two identities",
  );
  t.ok(
    await connects({ clientId: "pi-8", username: "pi-8", password: "secret" }),
    "a password, no certificate",
  );
  t.notOk(await connects({ clientId: "pi-7", username: "pi-7", password: "" }), "a user without a password");
  t.notOk(
    await connects({ ...(await identity("pi-9")), clientId: "pi-9" }),
    "a certificate of nobody in the file",
  );
});
