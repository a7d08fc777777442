import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Test, test } from "tap";
import { hashPassword } from "../../broker/src/auth/password.ts";
import { startBroker, temporaryDirectory } from "../support/broker.ts";
import type { Line } from "../support/program.ts";
import { pause } from "../support/time.ts";
import { login, writeUsers } from "./auth-fixtures.ts";

const standard = `
users:
  - { name: pi-7, hash: HASH, role: agent }
  - { name: pricing, hash: HASH, role: application, publish: ["orders/%c"], subscribe: ["orders/#"] }
  - { name: boss, hash: HASH, role: admin, clientIds: ["%u", "console-*"] }
  - { name: bare, hash: HASH }
patterns:
  publish: ["inbox/%u"]
  subscribe: ["news/#"]
`;

async function start(t: Test, options: { yaml?: string; args?: string[] } = {}) {
  const usersFile = join(await temporaryDirectory(t), "users.yaml");
  await writeUsers(usersFile, options.yaml ?? standard);
  const args = ["--durability", "memory", "--users-file", usersFile, ...(options.args ?? [])];
  const broker = await startBroker(t, { args });
  let loads = 1;
  const reload = async (yaml: string): Promise<void> => {
    await writeUsers(usersFile, yaml);
    broker.program.child.kill("SIGHUP");
    loads++;
    const isLoad = ({ event }: Line) => event === "users.loaded";
    await broker.program.line((line) => isLoad(line) && broker.program.lines.filter(isLoad).length >= loads);
  };
  return { ...broker, usersFile, reload };
}

const wrong = 5;

test("only who is in the users file, with the right password and an own client id, comes in", async (t) => {
  const { port } = await start(t, { args: ["--auth-max-failures", "0"] });
  const codes: [string, object, number][] = [
    ["an agent", { username: "pi-7" }, 0],
    ["an agent's doctor", { username: "pi-7", clientId: "pi-7-doctor" }, 0],
    ["an agent under another id", { username: "pi-7", clientId: "pi-7-b" }, wrong],
    ["an application under any id", { username: "pricing", clientId: "consumer-1f" }, 0],
    ["an application under an agent's id", { username: "pricing", clientId: "pi-7" }, wrong],
    [
      "an application under an id that begins like another user",
      { username: "pricing", clientId: "boss-1" },
      wrong,
    ],
    ["a user under a listed id", { username: "boss", clientId: "console-3" }, 0],
    ["a user under an id that is not listed", { username: "boss", clientId: "terminal" }, wrong],
    ["a wrong password", { username: "pi-7", password: "Secret" }, wrong],
    ["an empty password", { username: "pi-7", password: "" }, wrong],
    ["an unknown user", { username: "nobody" }, wrong],
    ["no user", { clientId: "x" }, wrong],
  ];
  for (const [name, options, code] of codes)
    t.equal((await login(t, port, options)).connack.returnCode, code, name);
});

test("an agent sends its own ticks; a PUBLISH in another's name closes the connection and goes nowhere", async (t) => {
  const { port, program } = await start(t);
  const reader = await login(t, port, { username: "pricing", clientId: "reader" });
  t.equal(await reader.subscribe("$share/p/ticks/#"), 1);
  const agent = await login(t, port, { username: "pi-7" });
  await agent.publish("ticks/binance/BTCUSDT/pi-7", "own");
  t.equal(await reader.receive(), "own");
  agent.sendPublish("ticks/binance/BTCUSDT/pi-8", "forged");
  await agent.closed;
  await program.line(({ event, reason }) => event === "connection.closed" && reason === "notAuthorised");
  t.same(await reader.settle(), []);
});

test("a subscription is granted only when an allowed filter covers it, in a pool as alone", async (t) => {
  const { port } = await start(t);
  const application = await login(t, port, { username: "pricing", clientId: "c1" });
  const granted = ["ticks/+/BTCUSDT/+", "$share/p/ticks/binance/#", "news/a", "orders/+"];
  const refused = ["#", "+/a", "$share/p/#", "replies/c2/#", "$SYS/#", "dead/#", "$share/p/agents/#"];
  for (const filter of granted) t.equal(await application.subscribe(filter), 1, filter);
  for (const filter of refused) t.equal(await application.subscribe(filter), 0x80, filter);
});

test("without a role there is nothing but the patterns for everybody and the user's own lines", async (t) => {
  const { port } = await start(t);
  const bare = await login(t, port, { username: "bare" });
  t.equal(await bare.subscribe("ticks/#"), 0x80);
  t.equal(await bare.subscribe("news/#"), 1);
  await bare.publish("inbox/bare", "x");
  bare.sendPublish("inbox/boss", "x");
  await bare.closed;
  const application = await login(t, port, { username: "pricing", clientId: "c1" });
  await application.publish("orders/c1", "x");
  application.sendPublish("orders/c2", "x");
  await application.closed;
});

test("a will that the client might not publish is refused with its CONNECT", async (t) => {
  const { port } = await start(t);
  const will = (topic: string) => ({ topic, payload: Buffer.from("gone"), qos: 1, retain: false });
  const forged = await login(t, port, { username: "pi-7", will: will("heartbeat/agents/pi-8") });
  t.equal(forged.connack.returnCode, wrong);
  const watcher = await login(t, port, { username: "boss" });
  await watcher.subscribe("heartbeat/agents/+");
  const own = await login(t, port, { username: "pi-7", will: will("heartbeat/agents/pi-7") });
  t.equal(own.connack.returnCode, 0);
  own.drop();
  t.equal(await watcher.receive(), "gone");
});

test("SIGHUP closes who lost the right to be here or to read, and nobody else", async (t) => {
  const { port, program, reload } = await start(t);
  const agent = await login(t, port, { username: "pi-7" });
  const boss = await login(t, port, { username: "boss" });
  const application = await login(t, port, { username: "pricing", clientId: "c1" });
  const bystander = await login(t, port, { username: "pricing", clientId: "c2" });
  t.equal(await application.subscribe("orders/#"), 1);
  await bystander.subscribe("ticks/#");
  await bystander.publish("orders/c2", "x");
  await reload(`
users:
  - { name: boss, hash: HASH, role: admin }
  - { name: pricing, hash: HASH, role: application }
`);
  await Promise.all([agent.closed, application.closed]);
  const isClosed = ({ reason }: Line) => reason === "notAuthorised";
  await program.line((line) => isClosed(line) && program.lines.filter(isClosed).length >= 2);
  t.match(
    program.lines
      .filter(isClosed)
      .map(({ detail }) => detail)
      .sort(),
    ["no longer authorised to subscribe to orders/#", "no user pi-7"],
  );
  await boss.settle();
  await bystander.settle();
  bystander.sendPublish("orders/c2", "no longer");
  await bystander.closed;
  t.equal((await login(t, port, { username: "pi-7" })).connack.returnCode, wrong);
});

test("a changed password closes the connections that came with the old one", async (t) => {
  const { port, reload } = await start(t);
  const agent = await login(t, port, { username: "pi-7" });
  const other = await hashPassword(Buffer.from("other"));
  await reload(`users: [{ name: pi-7, hash: "${other}", role: agent }]`);
  await agent.closed;
  t.equal((await login(t, port, { username: "pi-7" })).connack.returnCode, wrong);
});

test("a kept session loses what it may not read any more: it begins anew", async (t) => {
  const { port, reload, program } = await start(t);
  const options = { username: "pricing", clientId: "keeper", clean: false };
  const first = await login(t, port, options);
  await first.subscribe("orders/#");
  await first.disconnect();
  const boss = await login(t, port, { username: "boss" });
  await boss.publish("orders/1", "secret");
  await reload(standard.replace('subscribe: ["orders/#"]', 'subscribe: ["bills/#"]'));
  const second = await login(t, port, options);
  t.match(second.connack, { returnCode: 0, sessionPresent: false });
  await boss.publish("orders/2", "secret too");
  t.same(await second.settle(), []);
  await program.event("session.ended");
  await second.disconnect();
  t.equal((await login(t, port, options)).connack.sessionPresent, true, "the new session is kept");
});

test("a broken users file leaves the old one in force", async (t) => {
  const { port, usersFile, program } = await start(t);
  for (const [yaml, place] of [
    ["users: [", "users.yaml"],
    ["users: [{ name: a, rolle: agent }]", "users.0"],
    ["users: [{ name: a, publish: ['a/#/b'] }]", "users.0.publish.0"],
    ["users: [{ name: a }, { name: a }]", "users"],
  ] as const) {
    await writeFile(usersFile, yaml);
    program.child.kill("SIGHUP");
    const before = program.lines.length;
    const line = await program.line(
      (candidate) => candidate.event === "reload.failed" && program.lines.indexOf(candidate) >= before,
    );
    t.match(line, { code: "EQ_USERS_INVALID", detail: new RegExp(`users\\.yaml: .*${place}|${place}`) });
  }
  t.equal((await login(t, port, { username: "pi-7" })).connack.returnCode, 0);
});

test("a broker does not start with a users file that it cannot read", async (t) => {
  const dataDir = await temporaryDirectory(t);
  const missing = join(dataDir, "none.yaml");
  await t.rejects(startBroker(t, { dataDir, args: ["--users-file", missing] }), {
    message: new RegExp(`EQ_USERS_INVALID: .*${missing}`),
  });
});

test("an address that fails too often is refused at the door, for the length of the window", async (t) => {
  const args = ["--auth-max-failures", "3", "--auth-window-ms", "4000"];
  const { port, program } = await start(t, { args });
  const early = await login(t, port, { username: "pricing", clientId: "early" });
  const began = performance.now();
  t.equal((await login(t, port, { username: "pi-7", password: "guess" })).connack.returnCode, wrong);
  // The others take no hash, and so little of the window: the password is known, the client id is another's.
  for (let count = 0; count < 2; count++)
    t.equal((await login(t, port, { username: "pricing", clientId: "pi-7" })).connack.returnCode, wrong);
  await t.rejects(login(t, port, { username: "pi-7" }), "the right password comes too late");
  await program.line(
    ({ event, reason }) => event === "connection.refused" && reason === "too many failed attempts",
  );
  await early.settle();
  for (;;) {
    const again = await login(t, port, { username: "pi-7" }).catch(() => undefined);
    if (again?.connack.returnCode === 0) break;
    await pause(20);
  }
  t.ok(performance.now() - began > 3_900, "and comes in after the window");
  const failed = program.lines.filter(({ event }) => event === "authentication.failed");
  t.match(failed[0], { userName: "pi-7", reason: "bad user name or password" });
  t.notOk(JSON.stringify(program.lines).includes("guess"), "no password is logged");
});

test("with --allow-anonymous a client without a user may do what the patterns for everybody allow", async (t) => {
  const { port } = await start(t, { args: ["--allow-anonymous"] });
  const guest = await login(t, port, { clientId: "guest" });
  t.equal(guest.connack.returnCode, 0);
  t.equal(await guest.subscribe("news/today"), 1);
  t.equal(await guest.subscribe("ticks/#"), 0x80);
  t.equal((await login(t, port, { clientId: "pi-7" })).connack.returnCode, wrong);
});
