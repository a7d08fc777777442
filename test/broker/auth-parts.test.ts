import { test } from "tap";
import { addressKey, Failures } from "../../broker/src/auth/failures.ts";
import { Grants } from "../../broker/src/auth/grants.ts";
import { hashPassword, isPasswordHash, matchesHash } from "../../broker/src/auth/password.ts";
import { type Role, roles } from "../../broker/src/auth/roles.ts";
import { Verifier } from "../../broker/src/auth/verifier.ts";

function manualClock() {
  let nowMs = 0;
  const never = () => () => {};
  return {
    clock: { wallMs: () => nowMs, monotonicMs: () => nowMs, after: never, every: never },
    pass: (ms: number) => {
      nowMs += ms;
    },
  };
}

const as = (role: Role, clientId: string, userName = clientId) =>
  new Grants(roles[role], { clientId, userName });

test("a password matches its own salted hash and nothing else", async (t) => {
  const [one, two] = await Promise.all([
    hashPassword(Buffer.from("secret")),
    hashPassword(Buffer.from("secret")),
  ]);
  t.not(one, two, "every hash has a salt of its own");
  t.ok(await matchesHash(Buffer.from("secret"), one));
  t.notOk(await matchesHash(Buffer.from("Secret"), one));
  t.notOk(await matchesHash(Buffer.from("secret"), "secret"));
});

test("a hash that would take the memory of the machine is no hash", async (t) => {
  const tail = `${"A".repeat(22)}$${"A".repeat(43)}`;
  t.ok(isPasswordHash(`$scrypt$ln=14,r=8,p=5$${tail}`));
  for (const bad of ["ln=30,r=8,p=1", "ln=14,r=99,p=1", "ln=0,r=8,p=1", "ln=14,r=0,p=1"])
    t.notOk(isPasswordHash(`$scrypt$${bad}$${tail}`), bad);
});

test("a password that was right is recognised again without its hash; after forgetting it is worked out anew", async (t) => {
  const verifier = new Verifier({ maxConcurrent: 1, maxWaiting: 0 });
  const hash = await hashPassword(Buffer.from("secret"));
  t.ok(await verifier.verify(Buffer.from("secret"), hash));
  const busy = verifier.verify(Buffer.from("other"), undefined);
  t.ok(await verifier.verify(Buffer.from("secret"), hash), "without waiting for the one at work");
  await t.rejects(verifier.verify(Buffer.from("wrong"), hash), { code: "EQ_LIMIT_REACHED" });
  verifier.forget();
  await t.rejects(verifier.verify(Buffer.from("secret"), hash), { code: "EQ_LIMIT_REACHED" });
  t.notOk(await busy, "an unknown user costs the same and never matches");
});

test("checks of passwords run a few at a time, in the order in which they came", async (t) => {
  const verifier = new Verifier({ maxConcurrent: 1, maxWaiting: 2 });
  const order: string[] = [];
  const check = (name: string) => verifier.verify(Buffer.from(name), undefined).then(() => order.push(name));
  await Promise.all(["first", "second", "third"].map(check));
  t.same(order, ["first", "second", "third"]);
});

test("an address is refused after too many failures, until enough of them are older than the window", async (t) => {
  const { clock, pass } = manualClock();
  const failures = new Failures({ maxFailures: 3, windowMs: 1_000 }, clock);
  for (let count = 0; count < 3; count++) {
    t.notOk(failures.blocks("10.0.0.1"));
    failures.record("10.0.0.1");
    pass(100);
  }
  t.ok(failures.blocks("10.0.0.1"));
  t.notOk(failures.blocks("10.0.0.2"), "another address is not concerned");
  pass(699);
  t.ok(failures.blocks("10.0.0.1"));
  pass(1);
  t.notOk(failures.blocks("10.0.0.1"), "the window slides over the first failure");
  failures.record("10.0.0.1");
  t.ok(failures.blocks("10.0.0.1"), "two old ones and a new one");
});

test("addresses are remembered up to a bound", async (t) => {
  const { clock } = manualClock();
  const failures = new Failures({ maxFailures: 1, windowMs: 1_000 }, clock);
  for (let number = 0; number <= 10_000; number++) failures.record(`address-${number}`);
  t.notOk(failures.blocks("address-0"));
  t.ok(failures.blocks("address-1"));
  t.ok(failures.blocks("address-10000"));
});

test("an IPv6 network counts as one address, and IPv4 in IPv6 as itself", async (t) => {
  t.equal(addressKey("::ffff:10.0.0.1"), addressKey("10.0.0.1"));
  t.equal(addressKey("2001:db8:1:2:3:4:5:6"), addressKey("2001:db8:1:2::9"));
  t.not(addressKey("2001:db8:1:2::9"), addressKey("2001:db8:1:3::9"));
  t.equal(addressKey("fe80::1%eth0"), addressKey("fe80::2"));
  t.equal(addressKey("::1"), "0:0:0:0::/64");
});

test("an agent writes its own streams and reads requests to itself, nothing else", async (t) => {
  const agent = as("agent", "pi-7");
  for (const topic of ["ticks/binance/BTCUSDT/pi-7", "last/binance/BTCUSDT/pi-7", "heartbeat/agents/pi-7"])
    t.ok(agent.mayPublish(topic), topic);
  for (const topic of [
    "ticks/binance/BTCUSDT/pi-8",
    "heartbeat/agents/pi-8",
    "heartbeat/brokers/pi-7",
    "other",
    "ticks",
  ])
    t.notOk(agent.mayPublish(topic), topic);
  t.ok(agent.maySubscribe("agents/pi-7/requests/+"));
  t.ok(agent.maySubscribe("heartbeat/brokers/+"));
  for (const filter of ["agents/+/requests/+", "ticks/#", "#", "agents/#"])
    t.notOk(agent.maySubscribe(filter), filter);
});

test("an application reads streams and answers for itself only", async (t) => {
  const application = as("application", "pricing-1", "pricing");
  t.ok(application.maySubscribe("ticks/binance/#"));
  t.ok(application.mayPublish("heartbeat/members/pricing-1"));
  t.ok(application.mayPublish("members/pricing-1/reject"));
  for (const method of ["latest", "range", "resend", "stats", "ping"])
    t.ok(application.mayPublish(`agents/pi-7/requests/${method}`), method);
  t.notOk(application.mayPublish("agents/pi-7/requests/config"), "which changes what an agent does");
  t.notOk(application.mayPublish("members/pricing-2/reject"));
  t.notOk(application.mayPublish("ticks/binance/BTCUSDT/pricing-1"));
  t.notOk(application.maySubscribe("replies/#"));
  t.notOk(application.maySubscribe("$SYS/#"));
});

test("not even an admin, or a rule for everything, speaks in somebody else's name", async (t) => {
  const admin = as("admin", "boss");
  t.ok(admin.mayPublish("orders/1"));
  t.ok(admin.maySubscribe("$SYS/#"));
  t.ok(admin.mayPublish("ticks/v/s/boss"));
  for (const topic of ["ticks/v/s/pi-7", "heartbeat/brokers/b", "members/m/reject", "dead/p/t", "$SYS/x"])
    t.notOk(admin.mayPublish(topic), topic);
});

test("ids are filled into patterns as one topic level, so they can widen nothing", async (t) => {
  const patterns = { publish: ["own/%c/#", "users/%u"], subscribe: ["own/%c/#"] };
  const sly = new Grants(patterns, { clientId: "+/#", userName: "a/b" });
  t.notOk(sly.maySubscribe("own/+/#"));
  t.notOk(sly.mayPublish("own/other/x"));
  t.ok(sly.mayPublish("own/%2B%2F%23/x"));
  t.ok(sly.mayPublish("users/a%2Fb"));
  const nameless = new Grants(patterns, { clientId: "c", userName: undefined });
  t.notOk(nameless.mayPublish("users/"));
  t.ok(nameless.mayPublish("own/c/x"));
});
