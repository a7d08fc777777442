/** The packet types that a client may send, and their reserved flags. */
import { Fault } from "./fault.ts";

export const packetTypes = {
  connect: 1,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  unsubscribe: 10,
  pingreq: 12,
  disconnect: 14,
} as const;

const connectFirst = 0x10;

/**
 * Whoever speaks another protocol is told apart by one byte, not by a timeout [MQTT-3.1.0-1].
 * @throws Fault unexpectedPacket
 */
export function checkFirstByte(chunk: Buffer): void {
  if (chunk[0] !== connectFirst) throw new Fault("unexpectedPacket", "the first packet is no CONNECT");
}

/**
 * The lower four bits of the first byte [MQTT-2.2.2-2].
 * @throws Fault malformed
 */
export function checkReserved(kind: number, first: number): void {
  const { subscribe, unsubscribe, pubrel } = packetTypes;
  const wanted = kind === subscribe || kind === unsubscribe || kind === pubrel ? 2 : 0;
  if ((first & 0x0f) !== wanted)
    throw new Fault("malformed", `packet type ${kind} with flags ${first & 0x0f}`);
}

/**
 * The identifier that PUBACK, PUBREC, PUBREL or PUBCOMP is about.
 * @throws Fault malformed
 */
export function acknowledgedId(bytes: Buffer, body: number, end: number): number {
  if (end - body !== 2) throw new Fault("malformed", `an acknowledgement of ${end - body} bytes`);
  const packetId = ((bytes[body] as number) << 8) | (bytes[body + 1] as number);
  if (packetId === 0) throw new Fault("malformed", "packet identifier 0 [MQTT-2.3.1-1]");
  return packetId;
}
