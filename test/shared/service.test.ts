import { test } from "tap";
import { startCommand } from "../support/program.ts";
import type { Teardown } from "../support/teardown.ts";

const service = new URL("../../shared/src/index.ts", import.meta.url).href;

/** A process that runs a service made of the given source. */
function run(t: Teardown, body: string, shutdownTimeoutMs = 5_000) {
  const source = `
    import { EquipoiseError, runService } from ${JSON.stringify(service)};
    const say = (event) => process.stdout.write(JSON.stringify({ event }) + "\\n");
    const alive = setInterval(() => {}, 1_000);
    await runService("svc", async () => ({ service: { ${body} }, shutdownTimeoutMs: ${shutdownTimeoutMs} }));`;
  return startCommand(t, process.execPath, ["--input-type=module", "-e", source]);
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  test(`${signal} stops the service, then the process ends with 0`, async (t) => {
    const program = run(t, `async start() { say("ready"); }, async stop() { say("stopped"); }`);
    await program.event("ready");
    t.equal(await program.stop(signal), 0);
    t.match(program.lines.at(-1), { event: "stopped" });
    t.equal(program.stderr, "");
  });
}

test("the second signal ends at once with 130", async (t) => {
  const program = run(
    t,
    `async start() { say("ready"); }, async stop() { say("stopping"); await new Promise(() => {}); }`,
  );
  await program.event("ready");
  program.child.kill("SIGINT");
  await program.event("stopping");
  t.equal(await program.stop("SIGINT"), 130);
});

test("a stop that takes longer than shutdownTimeoutMs ends with 1 and says so", async (t) => {
  const program = run(
    t,
    `async start() { say("ready"); }, async stop() { await new Promise(() => {}); }`,
    50,
  );
  await program.event("ready");
  t.equal(await program.stop(), 1);
  t.equal(program.stderr, "svc: still not stopped after 50 ms; ending now\n");
});

test("an expected error is one line and its exit code; a bug keeps its stack", async (t) => {
  const usage = run(t, `async start() { throw new EquipoiseError("EQ_USAGE", "--x"); }, async stop() {}`);
  t.same(await usage.exited, { code: 2, signal: null });
  t.match(usage.stderr, /^svc: EQ_USAGE: --x \(.*\)\. Remedy: .*\.\n$/);
  const weather = run(
    t,
    `async start() { throw new EquipoiseError("EQ_PORT_IN_USE", ":1"); }, async stop() {}`,
  );
  t.same(await weather.exited, { code: 1, signal: null });
  const bug = run(t, `async start() { throw new TypeError("oops"); }, async stop() {}`);
  t.same(await bug.exited, { code: 1, signal: null });
  t.match(bug.stderr, /TypeError: oops\n +at /);
});

test("a service that ends by itself is stopped, and its exit code is the process's", async (t) => {
  const program = run(t, `ended: Promise.resolve(7), async start() {}, async stop() { say("stopped"); }`);
  t.same(await program.exited, { code: 7, signal: null });
  t.match(program.lines, [{ event: "stopped" }]);
});

test("an error while stopping ends with 1", async (t) => {
  const program = run(
    t,
    `async start() { say("ready"); }, async stop() { throw new EquipoiseError("EQ_STORE_FULL", "/d"); }`,
  );
  await program.event("ready");
  t.equal(await program.stop(), 1);
  t.match(program.stderr, /^svc: EQ_STORE_FULL: \/d/);
});
