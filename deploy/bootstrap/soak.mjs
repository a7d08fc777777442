/** `npm run soak`: the long versions of tests that `npm test` runs short. About an hour and a half; progress is tap's. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const files = [
  "test/faults/faults.test.ts",
  "test/faults/agent-power.test.ts",
  "test/faults/agent-torn.test.ts",
  "test/faults/agent-torn-buffer.test.ts",
  "test/faults/agent-disk-full.test.ts",
  "test/faults/agent-full-kill.test.ts",
  "test/soak/agent-power.test.ts",
  "test/soak/agent-day.test.ts",
  "test/faults/cluster.test.ts",
  "test/faults/failover.test.ts",
  "test/broker/cluster/order-chaos.test.ts",
  "test/soak/backpressure.test.ts",
  "test/broker/conformance/fuzz.test.ts",
];
const env = {
  ...process.env,
  FAULT_ROUNDS: "20",
  SOAK_MINUTES: "10",
  EQUIPOISE_FUZZ_STREAMS: "100000",
  POWER_CUTS: "500",
  AGENT_POWER_CUTS: "500",
  AGENT_DAY_HOURS: "24",
  DISK_FULL_MS: "60000",
  TORN_SHARE: "1",
  CLUSTER_CHAOS_MS: "300000",
  ORDER_CHAOS_MS: "300000",
};
const child = spawn("tap", ["run", "--disable-coverage", "--jobs=1", "--timeout=3600", ...files], {
  cwd: fileURLToPath(new URL("../..", import.meta.url)),
  stdio: "inherit",
  env,
});
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("close", (code) => process.exit(code ?? 1));
