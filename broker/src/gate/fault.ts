/** Why the gate closes a connection on its own account. Each is counted and logged under this name. */
export type FaultKind =
  | "malformed"
  | "packetTooLarge"
  | "unexpectedPacket"
  | "badTopic"
  | "notAuthorised"
  | "keepaliveTimeout"
  | "connectTimeout"
  | "slowConsumer"
  | "tooManyInFlight"
  | "storeFailed"
  | "poolFull"
  | "sessionTakenOver"
  | "brokerStopping";

/** A client broke the protocol or a limit: its connection ends, everybody else is unaffected. */
export class Fault extends Error {
  override readonly name = "Fault";
  readonly kind: FaultKind;

  constructor(kind: FaultKind, detail: string) {
    super(detail);
    this.kind = kind;
  }
}
