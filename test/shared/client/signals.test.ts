import { test } from "tap";
import { startCommand } from "../../support/program.ts";
import { startScriptedBroker } from "../../support/scripted-broker.ts";
import { topic, tradeJson } from "./fixtures.ts";

const client = new URL("../../../shared/src/client/index.ts", import.meta.url).href;

test("drainOnSignals: an application finishes its work at SIGTERM and then ends by itself with 0", async (t) => {
  const broker = await startScriptedBroker(t);
  const source = `
    import { drainOnSignals, joinPool } from ${JSON.stringify(client)};
    const say = (event) => process.stdout.write(JSON.stringify({ event }) + "\\n");
    const consumer = joinPool({
      broker: ${JSON.stringify(broker.url)}, pool: "p", filter: "ticks/#",
      handler: async () => { say("begun"); await new Promise((resolve) => setTimeout(resolve, 200)); say("done"); },
    });
    drainOnSignals(consumer);
    await consumer.start();`;
  const program = startCommand(t, process.execPath, ["--input-type=module", "-e", source]);
  const wire = await broker.connection();
  await wire.until(() => wire.of("subscribe").length === 1);
  wire.deliver(1, topic, tradeJson(1));
  await program.event("begun");
  t.equal(await program.stop("SIGTERM"), 0);
  t.match(program.lines, [{ event: "begun" }, { event: "done" }]);
  t.same(wire.acknowledged, [1]);
  t.equal(wire.of("disconnect").length, 1);
  t.equal(program.stderr, "");
});
