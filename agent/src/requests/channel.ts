/** Contract: what requests need of the uplink. */
export interface Channel {
  /** Subscribes on this and every later connection, QoS 1. The handler gets every message of the connection. */
  subscribe(filter: string, handler: (topic: string, payload: Buffer) => void): void;
  /**
   * Publishes at QoS 1; resolves with its PUBACK.
   * @throws EquipoiseError EQ_BROKER_UNREACHABLE when there is no connection, or it is lost before
   */
  send(topic: string, payload: string): Promise<void>;
}
