/** What systemd is told, with systemd's own tool and a socket that stands in for it. */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { Notifier } from "@equipoise/shared";
import { test } from "tap";
import { temporaryDirectory } from "../support/broker.ts";
import { skipUnless } from "../support/debian.ts";
import { startCommand, startProgram } from "../support/program.ts";
import { FakeClock, nowhere, until } from "./support.ts";

/** Node has no Unix datagram sockets. */
const receiver = `
import json, os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print(json.dumps({"event": "bound"}), flush=True)
while True:
    print(json.dumps({"event": "told", "text": s.recv(4096).decode()}), flush=True)
`;

const systemd = { skip: skipUnless("systemd-notify", "systemd") };

test("systemd is told of the start, of life and of the end of a real agent", systemd, async (t) => {
  const directory = await temporaryDirectory(t);
  const socket = join(directory, "notify");
  const manager = startCommand(t, "python3", ["-c", receiver, socket]);
  await manager.event("bound");
  const args = ["--data-dir", join(directory, "data"), "--broker", nowhere, "--source", "stdin:"];
  const agent = startProgram(t, "agent", args, { NOTIFY_SOCKET: socket, WATCHDOG_USEC: "900000" });
  const told = (text: string) => manager.line((line) => String(line.text).includes(text));
  t.match((await told("READY=1")).text, /STATUS=running/);
  await told("WATCHDOG=1");
  t.equal(await agent.stop(), 0);
  await told("STOPPING=1");
});

test("a service that is stuck is not said to live, and its status says what is stuck", async (t) => {
  const directory = await temporaryDirectory(t);
  const log = join(directory, "told");
  const command = join(directory, "systemd-notify");
  await writeFile(command, `#!/bin/sh\necho "$@" >>${log}\n`, { mode: 0o755 });
  const clock = new FakeClock();
  const warnings: string[] = [];
  let stalled: string | undefined;
  const env = { ...process.env, NOTIFY_SOCKET: "/nowhere", WATCHDOG_USEC: "3000000" };
  const warn = (message: string): void => void warnings.push(message);
  const notifier = new Notifier({ env, clock, stalled: () => stalled, warn, command });
  const lines = async (): Promise<string[]> =>
    (await readFile(log, "utf8").catch(() => "")).split("\n").slice(0, -1);
  /** Until that was told; what is due while another telling is under way comes with the next period. */
  const tick = async (text: string): Promise<void> => {
    await until(async () => {
      clock.advance(1_000);
      return (await lines()).includes(text);
    });
  };
  notifier.ready();
  await tick("WATCHDOG=1");
  stalled = "ticks are not committed";
  await tick("STATUS=no progress: ticks are not committed");
  for (let period = 0; period < 5; period += 1) clock.advance(1_000);
  stalled = undefined;
  await tick("WATCHDOG=1 STATUS=running");
  await notifier.stopping();
  const told = await lines();
  // How often life is told depends on how soon each telling ends; that it is not told in between does not.
  t.same(
    told.filter((line) => line !== "WATCHDOG=1"),
    [
      "READY=1 STATUS=running",
      "STATUS=no progress: ticks are not committed",
      "WATCHDOG=1 STATUS=running",
      "STOPPING=1 STATUS=stopping",
    ],
  );
  const stuck = told.indexOf("STATUS=no progress: ticks are not committed");
  t.equal(told[stuck + 1], "WATCHDOG=1 STATUS=running", "no life is told while it is stuck");
  t.match(warnings, [/not committed/]);
});

test("without systemd nothing is started", async (t) => {
  const clock = new FakeClock();
  const warn = (message: string): void => void t.fail(message);
  const notifier = new Notifier({ env: {}, clock, stalled: () => undefined, warn, command: "/nowhere" });
  notifier.ready();
  t.equal(clock.nextMs, undefined);
  await notifier.stopping();
});

test("systemd finds nothing wrong with the units, and little that they expose", systemd, async (t) => {
  const directory = await temporaryDirectory(t);
  for (const name of ["equipoise-agent.service", "equipoise-broker.service"]) {
    const unit = await readFile(new URL(`../../deploy/systemd/${name}`, import.meta.url), "utf8");
    const path = join(directory, name);
    // The program is not installed here.
    await writeFile(path, unit.replace("/opt/equipoise/node_modules/.bin/node", "/bin/sh"));
    const { stdout, stderr } = await promisify(execFile)("systemd-analyze", ["verify", path]);
    t.same([stdout, stderr], ["", ""]);
    const rating = await promisify(execFile)("systemd-analyze", ["security", "--offline=yes", path]);
    const level = Number(/exposure level for [\w.-]+: ([\d.]+)/.exec(rating.stdout)?.[1]);
    t.ok(level > 0 && level < 2, `${name} ${level}`);
  }
});
