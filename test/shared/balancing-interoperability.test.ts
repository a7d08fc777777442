import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fromBinary, toJson } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import { type BalancingRules, decodeBalancing, encodeBalancing } from "@equipoise/shared/balancing";
import { test } from "tap";
import { file_load_balancing } from "../../shared/src/proto/load_balancing_pb.ts";
import { temporaryDirectory } from "../support/broker.ts";
import { pythonWith, skipUnless } from "../support/debian.ts";

const schemas = fileURLToPath(new URL("../../shared/proto", import.meta.url));
const messageName = "equipoise.v1.LoadBalancingConfiguration";
const skip = skipUnless("protoc", "protobuf-compiler");
const python = pythonWith("google.protobuf", "python3-protobuf");

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

function protoc(args: readonly string[], input?: Uint8Array | string): Buffer {
  const all = [`--proto_path=${schemas}`, ...args, "load_balancing.proto"];
  const { status, stdout, stderr } = spawnSync("protoc", all, { input, timeout: 20_000 });
  if (status !== 0) throw new Error(`protoc: ${stderr}`);
  return stdout;
}

test("the generated code is that of the schema: make it anew as docs/balancing-schema.md says", {
  skip,
}, async (t) => {
  const path = join(await temporaryDirectory(t), "set");
  protoc([`--descriptor_set_out=${path}`]);
  const [compiled] = fromBinary(FileDescriptorSetSchema, readFileSync(path)).file;
  t.same(plain(file_load_balancing.proto), plain(compiled as FileDescriptorProto));
});

/** Names in JSON are made from the others: some compilers write them down, some do not. */
function plain(file: FileDescriptorProto): unknown {
  for (const field of file.messageType.flatMap((message) => message.field)) field.jsonName = "";
  return toJson(FileDescriptorProtoSchema, file);
}

test("protoc reads what is written here, and the reverse", { skip }, async (t) => {
  t.equal(protoc([`--decode=${messageName}`], encodeBalancing(rules, "binary")).toString(), asText);
  t.same(decodeBalancing(protoc([`--encode=${messageName}`], asText)), rules);
});

test("Protobuf's own library reads both formats, and its own are read here", {
  skip: skip || python.skip,
}, async (t) => {
  const directory = await temporaryDirectory(t);
  protoc([`--python_out=${directory}`]);
  const reader = fileURLToPath(new URL("balancing-reader.py", import.meta.url));
  const base64 = (format: "json" | "binary") =>
    Buffer.from(encodeBalancing(rules, format)).toString("base64");
  const input = JSON.stringify({ json: base64("json"), binary: base64("binary") });
  const { stdout, stderr } = spawnSync(python.program, [reader, directory], {
    input,
    encoding: "utf8",
    timeout: 20_000,
  });
  t.equal(stderr, "");
  const written = Object.entries(JSON.parse(stdout) as Record<string, string>);
  t.same(
    written.map(([name]) => name),
    ["binary", "json", "protoNames"],
  );
  for (const [name, content] of written) t.same(decodeBalancing(Buffer.from(content, "base64")), rules, name);
});
