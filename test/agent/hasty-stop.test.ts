/** A stop that comes while the agent starts. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import type { Server } from "node:net";
import { PassThrough } from "node:stream";
import { readCommandLine, systemClock } from "@equipoise/shared";
import { test } from "tap";
import { Agent } from "../../agent/src/agent.ts";
import { program } from "../../agent/src/config.ts";
import { temporaryDirectory } from "../support/broker.ts";
import type { Teardown } from "../support/teardown.ts";
import { nowhere, recordedLog } from "./support.ts";

/** What Node tells of each server that begins to listen. */
const listens = "tracing:net.server.listen:asyncStart";

async function createAgent(t: Teardown): Promise<Agent> {
  const flags = ["--data-dir", await temporaryDirectory(t), "--broker", nowhere, "--http", "127.0.0.1:0"];
  const read = readCommandLine(program, ["--source", "stdin:", "--source", "tcp:127.0.0.1:0", ...flags], {});
  if ("print" in read) throw new Error("unreachable");
  const { logger } = recordedLog();
  const stdin = new PassThrough();
  return new Agent({ config: read.config, logger, clock: systemClock, random: Math.random, stdin });
}

for (const [nth, stage] of ["source", "HTTP endpoint", "control socket"].entries()) {
  test(`a stop that comes while the ${stage} begins to listen leaves nobody listening`, async (t) => {
    const servers: Server[] = [];
    const agent = await createAgent(t);
    const { promise: reached, resolve } = Promise.withResolvers<void>();
    const note = (message: unknown): void => {
      servers.push((message as { server: Server }).server);
      if (servers.length === nth + 1) resolve();
    };
    subscribe(listens, note);
    t.teardown(() => unsubscribe(listens, note));
    const started = agent.start();
    await reached;
    await agent.stop();
    await started;
    t.same(
      servers.map(({ listening }) => listening),
      servers.map(() => false),
    );
  });
}
