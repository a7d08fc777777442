import { X509Certificate } from "node:crypto";
import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Test, test } from "tap";
import { matchesHash } from "../../broker/src/auth/password.ts";
import { readUsersFile } from "../../broker/src/auth/users-file.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { startProgram } from "../support/program.ts";

/** Runs `equipoise-broker` to its end. */
async function run(t: Test, args: readonly string[], input = "") {
  const program = startProgram(t, "broker", args);
  program.child.stdin.on("error", () => {}).end(input);
  const { code } = await program.exited;
  return { code, stderr: program.stderr, lines: program.lines.map((line) => line.text ?? "") };
}

const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

test("users add, passwd, list and remove edit a private file and leave what people wrote in it", async (t) => {
  const file = join(await temporaryDirectory(t), "users.yaml");
  const users = (args: string[], input?: string) => run(t, ["users", ...args, "--users-file", file], input);
  t.equal((await users(["add", "pi-7", "--role", "agent", "--password-stdin"], "secret\n")).code, 0);
  t.equal(await modeOf(file), 0o600);
  const written = await readFile(file, "utf8");
  t.notMatch(written, "secret");
  await writeFile(file, `${written}# the desk's own\npatterns: { subscribe: ["news/#"] }\n`);
  t.equal((await users(["add", "pi-8", "--role", "agent", "--no-password"])).code, 0);
  t.equal((await users(["passwd", "pi-7", "--password-stdin"], "changed")).code, 0);
  const { users: list, patterns } = await readUsersFile(file);
  t.match(list, [
    { name: "pi-7", role: "agent" },
    { name: "pi-8", role: "agent", hash: undefined },
  ]);
  t.ok(await matchesHash(Buffer.from("changed"), list[0]?.hash ?? ""));
  t.same(patterns.subscribe, ["news/#"]);
  t.match(await readFile(file, "utf8"), "# the desk's own");
  t.same((await users(["list"])).lines, ["pi-7\tagent\tpassword", "pi-8\tagent\tcertificate"]);
  t.equal((await users(["remove", "pi-7"])).code, 0);
  t.same((await users(["list"])).lines, ["pi-8\tagent\tcertificate"]);
  t.equal(await modeOf(file), 0o600);
});

test("what users cannot do is said in one line, and the file stays as it is", async (t) => {
  const file = join(await temporaryDirectory(t), "users.yaml");
  const yaml = "users: [{ name: a }]\n";
  await writeFile(file, yaml);
  const at = ["--users-file", file];
  const cases: [string[], RegExp][] = [
    [["users", "add", "b"], /--users-file is missing/],
    [["users", "add", "b", ...at], /no terminal/],
    [["users", "add", "b", "--password-stdin", ...at], /the password is empty/],
    [["users", "add", "b", "--role", "king", ...at], /--role is king, must be one of agent/],
    [["users", "add", "b c", "--no-password", ...at], /must have no spaces/],
    [["users", "add", "a", "--no-password", ...at], /a exists already/],
    [["users", "passwd", "b", "--password-stdin", ...at], /there is no user b/],
    [["users", "remove", "b", ...at], /there is no user b/],
    [["users", "burn", "a", ...at], /burn is not one of add/],
    [["users", "list", "--loud", ...at], /--loud/],
  ];
  const check = async ([args, message]: [string[], RegExp]): Promise<void> => {
    const { code, stderr } = await run(t, args);
    t.equal(code, 2, args.join(" "));
    t.match(stderr, message);
    t.match(stderr, /^equipoise-broker users: EQ_USAGE: [^\n]*\n$/);
  };
  await Promise.all(cases.map(check));
  t.equal(await readFile(file, "utf8"), yaml);
  await writeFile(file, "users: {");
  const broken = await run(t, ["users", "list", ...at]);
  t.match(broken.stderr, /EQ_USERS_INVALID: .*users\.yaml: /);
  t.equal(await readFile(file, "utf8"), "users: {");
});

test("certs makes an authority and certificates of it, private keys private, and overwrites nothing unasked", async (t) => {
  const dir = join(await temporaryDirectory(t), "certs");
  const certs = (...args: string[]) => run(t, ["certs", ...args, "--dir", dir]);
  const read = async (name: string) => new X509Certificate(await readFile(join(dir, `${name}.crt`)));
  t.match((await certs("device", "pi-7")).stderr, /EQ_TLS_UNUSABLE: .*certs ca makes it/);
  t.equal((await certs("ca")).code, 0);
  t.equal((await certs("server", "--host", "gateway.local", "--host", "10.0.0.5")).code, 0);
  t.equal((await certs("device", "pi-7", "--days", "30")).code, 0);
  const [ca, server, device] = await Promise.all([read("ca"), read("server"), read("pi-7")]);
  t.ok(ca.ca && server.checkIssued(ca) && server.verify(ca.publicKey));
  t.ok(device.checkIssued(ca) && device.verify(ca.publicKey) && !device.ca);
  t.equal(server.checkHost("gateway.local"), "gateway.local");
  t.equal(server.checkIP("10.0.0.5"), "10.0.0.5");
  t.equal(device.subject, "CN=pi-7");
  t.ok(device.validToDate.getTime() - Date.now() < 30.1 * 86_400_000);
  for (const name of ["ca", "server", "pi-7"]) t.equal(await modeOf(join(dir, `${name}.key`)), 0o600);
  const again = await certs("device", "pi-7");
  t.equal(again.code, 1);
  t.match(again.stderr, /EQ_FILE_EXISTS: .*pi-7\.key/);
  t.equal((await read("pi-7")).serialNumber, device.serialNumber);
  t.equal((await certs("device", "pi-7", "--force")).code, 0);
  t.not((await read("pi-7")).serialNumber, device.serialNumber);
});

test("certs refuses names that are no file names, and lifetimes that are none", async (t) => {
  const dir = await temporaryDirectory(t);
  const cases = [
    ["device", "../x"],
    ["device"],
    ["device", "ca"],
    ["server"],
    ["ca", "--days", "0"],
    ["ca", "more"],
    ["king"],
  ];
  const check = async (args: string[]): Promise<void> => {
    const { code, stderr } = await run(t, ["certs", ...args, "--dir", dir]);
    t.equal(code, 2, args.join(" "));
    t.match(stderr, /^equipoise-broker certs: EQ_USAGE: [^\n]*\n$/);
  };
  await Promise.all(cases.map(check));
});
