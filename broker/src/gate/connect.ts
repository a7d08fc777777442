/** The few fields of a CONNECT that the gate must know, or change, before aedes reads it. */
import { Fault } from "./fault.ts";

export interface ConnectHead {
  keepaliveSeconds: number;
  clean: boolean;
  clientId: string;
  hasUsername: boolean;
}

/**
 * Reads a CONNECT frame and sets its keepalive to 0: time is the gate's matter, because only it sees all traffic.
 * Anything else that is wrong with the packet is left for aedes to refuse.
 * @throws Fault malformed
 */
export function takeConnect(frame: Buffer, body: number): ConnectHead {
  const nameLength = frame.length >= body + 2 ? frame.readUInt16BE(body) : 0;
  const flagsAt = body + 2 + nameLength + 1;
  if (frame.length < flagsAt + 5) throw new Fault("malformed", "a CONNECT shorter than its fixed fields");
  const flags = frame[flagsAt] as number;
  const keepaliveSeconds = frame.readUInt16BE(flagsAt + 1);
  frame.writeUInt16BE(0, flagsAt + 1);
  const idLength = frame.readUInt16BE(flagsAt + 3);
  const idAt = flagsAt + 5;
  if (frame.length < idAt + idLength)
    throw new Fault("malformed", "a CONNECT shorter than its client identifier");
  return {
    keepaliveSeconds,
    clean: (flags & 2) !== 0,
    clientId: frame.toString("utf8", idAt, idAt + idLength),
    hasUsername: (flags & 0x80) !== 0,
  };
}
