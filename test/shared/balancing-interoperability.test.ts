import { fileURLToPath } from "node:url";
import { type BalancingRules, decodeBalancing, encodeBalancing } from "@equipoise/shared/balancing";
import { test } from "tap";
import { file_load_balancing } from "../../shared/src/proto/load_balancing_pb.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { compiled, plain, protoc, pythonReading, skipProtoc, skipPython } from "../support/protobuf.ts";

const schema = "load_balancing.proto";
const messageName = "equipoise.v1.LoadBalancingConfiguration";

const rules: BalancingRules = {
  pool: "pricing",
  strategy: "weighted",
  members: [
    { clientId: "m-1", weight: 2.5, health: "DEGRADED" },
    { clientId: "Zürich", weight: 0, health: "HEALTHY" },
    { clientId: "m-3" },
  ],
};
const asText = `service_name: "pricing"
strategy: WEIGHTED
instances {
  instance_id: "m-1"
  weight: 2.5
  health: DEGRADED
}
instances {
  instance_id: "Z\\303\\274rich"
  weight: 0
  health: HEALTHY
}
instances {
  instance_id: "m-3"
}
`;

test("the generated code is that of the schema: make it anew as docs/balancing-schema.md says", {
  skip: skipProtoc,
}, async (t) => {
  t.same(plain(file_load_balancing.proto), compiled(schema, await temporaryDirectory(t)));
});

test("protoc reads what is written here, and the reverse", { skip: skipProtoc }, async (t) => {
  t.equal(protoc(schema, [`--decode=${messageName}`], encodeBalancing(rules, "binary")).toString(), asText);
  t.same(decodeBalancing(protoc(schema, [`--encode=${messageName}`], asText)), rules);
});

test("Protobuf's own library reads both formats, and its own are read here", {
  skip: skipPython,
}, async (t) => {
  const reader = fileURLToPath(new URL("balancing-reader.py", import.meta.url));
  const base64 = (format: "json" | "binary") =>
    Buffer.from(encodeBalancing(rules, format)).toString("base64");
  const input = JSON.stringify({ json: base64("json"), binary: base64("binary") });
  const output = pythonReading(schema, await temporaryDirectory(t), reader, input);
  const written = Object.entries(JSON.parse(output) as Record<string, string>);
  t.same(
    written.map(([name]) => name),
    ["binary", "json", "protoNames"],
  );
  for (const [name, content] of written) t.same(decodeBalancing(Buffer.from(content, "base64")), rules, name);
});
