/** Debian's Protobuf tools on the schemas of shared/proto. */
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
import { pythonWith, skipUnless } from "./debian.ts";

const schemas = fileURLToPath(new URL("../../shared/proto", import.meta.url));
const timeoutMs = 20_000;

/** For tap's `skip` option. */
export const skipProtoc = skipUnless("protoc", "protobuf-compiler");
const python = pythonWith("google.protobuf", "python3-protobuf");
export const skipPython = skipProtoc || python.skip;

/** @param schema the file's name in shared/proto */
export function protoc(schema: string, args: readonly string[], input?: Uint8Array | string): Buffer {
  const all = [`--proto_path=${schemas}`, ...args, schema];
  const { status, stdout, stderr } = spawnSync("protoc", all, { input, timeout: timeoutMs });
  if (status !== 0) throw new Error(`protoc: ${stderr}`);
  return stdout;
}

/** Runs a Python program that imports what protoc generates from the schema, as its first argument says where. */
export function pythonReading(
  schema: string,
  directory: string,
  program: string,
  input: string | Uint8Array,
): string {
  protoc(schema, [`--python_out=${directory}`]);
  const { stdout, stderr } = spawnSync(python.program, [program, directory], {
    input,
    timeout: timeoutMs,
  });
  if (stderr.length > 0) throw new Error(`${program}: ${stderr}`);
  return stdout.toString();
}

/** A schema as protoc reads it, to compare with {@link plain} of the generated code's. */
export function compiled(schema: string, directory: string): unknown {
  const path = join(directory, "set");
  protoc(schema, [`--descriptor_set_out=${path}`]);
  const [file] = fromBinary(FileDescriptorSetSchema, readFileSync(path)).file;
  return plain(file as FileDescriptorProto);
}

/** Names in JSON are made from the others: some compilers write them down, some do not. */
export function plain(file: FileDescriptorProto): unknown {
  for (const field of file.messageType.flatMap((message) => message.field)) field.jsonName = "";
  return toJson(FileDescriptorProtoSchema, file);
}
