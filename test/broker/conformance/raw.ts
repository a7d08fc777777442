/** Packets byte by byte, for what a packet library would never send. */
import { MqttClient } from "../../support/mqtt-client.ts";
import type { Teardown } from "../../support/teardown.ts";

/** A string behind its length; also bytes that are no UTF-8. */
export function field(text: string | Uint8Array): Buffer {
  const bytes = Buffer.from(text as string);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
}

export function packet(first: number, ...parts: readonly (Uint8Array | readonly number[])[]): Buffer {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as Uint8Array)));
  const header = [first];
  let rest = body.length;
  do {
    header.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.from(header), body]);
}

export interface RawConnect {
  name?: string;
  level?: number;
  flags?: number;
  keepalive?: number;
  id?: string | Uint8Array;
  /** What follows the client identifier. */
  rest?: readonly Uint8Array[];
}

export function connectPacket(options: RawConnect = {}): Buffer {
  const { name = "MQTT", level = 4, flags = 2, keepalive = 0, id = "raw", rest = [] } = options;
  return packet(0x10, field(name), [level, flags, keepalive >> 8, keepalive & 0xff], field(id), ...rest);
}

/** What the broker answers to bytes on a fresh connection: the return code of its CONNACK, or "closed". */
export async function answerTo(t: Teardown, port: number, bytes: Uint8Array): Promise<number | "closed"> {
  const client = await MqttClient.open(t, port);
  client.socket.write(bytes);
  const code = await client.next("connack").then(
    ({ returnCode }) => returnCode as number,
    () => "closed" as const,
  );
  if (code === 0) client.drop();
  else await client.closed;
  return code;
}

/** Sends bytes as a connected client and waits for the close; fails when there is none. */
export async function closes(t: Teardown, port: number, clientId: string, bytes: Uint8Array): Promise<void> {
  const client = await MqttClient.connect(t, port, clientId);
  client.socket.write(bytes);
  await client.closed;
}
