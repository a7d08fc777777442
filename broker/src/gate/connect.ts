/**
 * CONNECT, checked field by field before aedes reads it: aedes closes where MQTT wants a CONNACK, and lets pass what
 * MQTT forbids.
 */
import { randomUUID } from "node:crypto";
import { limits, topicFault } from "@equipoise/shared";
import { remainingLengthSize, writeRemainingLength } from "../journal/chunk.ts";
import { BodyReader } from "./body.ts";
import { Fault } from "./fault.ts";

/** A CONNECT that aedes may have. */
export interface Connect {
  keepaliveSeconds: number;
  /** As aedes gets it: with keepalive 0, because only the gate sees all traffic, and never without a client id. */
  frame: Buffer;
}

/** A CONNECT that is answered with a CONNACK and a close. */
export interface ConnectRefusal {
  returnCode: 1 | 2;
  reason: string;
}

const flag = { reserved: 1, clean: 2, will: 4, willRetain: 0x20, password: 0x40, username: 0x80 } as const;
const levels: Readonly<Record<string, number>> = { MQTT: 4, MQIsdp: 3 };

/**
 * Reads a CONNECT frame whose variable header begins at `body`.
 * @throws Fault malformed or unexpectedPacket: to be closed without an answer
 */
export function readConnect(frame: Buffer, body: number): Connect | ConnectRefusal {
  const reader = new BodyReader(frame, body);
  const name = reader.text("the protocol name");
  const level = levels[name];
  if (level === undefined) throw new Fault("unexpectedPacket", "a protocol that is not MQTT [MQTT-3.1.2-1]");
  const asked = reader.byte("the protocol level");
  if (asked !== level) return { returnCode: 1, reason: `protocol level ${asked} [MQTT-3.1.2-2]` };
  const flags = reader.byte("the connect flags");
  checkFlags(flags);
  const keepaliveAt = reader.at;
  const keepaliveSeconds = reader.number("the keepalive");
  const idAt = reader.at;
  const clientId = reader.text("a client identifier");
  readRest(reader, flags);
  if (clientId === "" && (flags & flag.clean) === 0)
    return { returnCode: 2, reason: "a session without a client identifier [MQTT-3.1.3-8]" };
  if (clientId.length > limits.maxIdLength)
    return { returnCode: 2, reason: `a client identifier longer than ${limits.maxIdLength} characters` };
  frame.writeUInt16BE(0, keepaliveAt);
  return { keepaliveSeconds, frame: clientId === "" ? withClientId(frame, body, idAt) : frame };
}

function checkFlags(flags: number): void {
  const fault = flagFault(flags);
  if (fault !== undefined) throw new Fault("malformed", `a CONNECT with ${fault}`);
}

function flagFault(flags: number): string | undefined {
  const willQos = (flags >> 3) & 3;
  if ((flags & flag.reserved) !== 0) return "its reserved flag set [MQTT-3.1.2-3]";
  if (willQos === 3) return "a will of QoS 3 [MQTT-3.1.2-14]";
  if ((flags & flag.will) === 0) {
    if (willQos !== 0) return "a will QoS and no will [MQTT-3.1.2-13]";
    if ((flags & flag.willRetain) !== 0) return "will retain and no will [MQTT-3.1.2-15]";
  }
  if ((flags & flag.username) === 0 && (flags & flag.password) !== 0)
    return "a password and no user name [MQTT-3.1.2-22]";
  return undefined;
}

function readRest(reader: BodyReader, flags: number): void {
  if ((flags & flag.will) !== 0) {
    const fault = topicFault(reader.text("a will topic"));
    if (fault !== undefined) throw new Fault("badTopic", `a will topic that ${fault}`);
    reader.binary("a will message");
  }
  if ((flags & flag.username) !== 0) reader.text("a user name");
  if ((flags & flag.password) !== 0) reader.binary("a password");
  reader.end("a CONNECT");
}

/** A client that gives no identifier gets one that nobody can guess [MQTT-3.1.3-6]. */
function withClientId(frame: Buffer, body: number, idAt: number): Buffer {
  const id = Buffer.from(`auto-${randomUUID()}`);
  const remaining = frame.length - body + id.length;
  const named = Buffer.alloc(1 + remainingLengthSize(remaining) + remaining);
  named[0] = frame[0] as number;
  let at = writeRemainingLength(named, 1, remaining);
  at += frame.copy(named, at, body, idAt);
  at = named.writeUInt16BE(id.length, at);
  at += id.copy(named, at);
  frame.copy(named, at, idAt + 2);
  return named;
}
