import { type DoneCallback, type Packet, Store } from "mqtt";

/**
 * What mqtt.js keeps of messages in flight: nothing. A client here lives as long as its connection, and the publisher
 * has what it must repeat on the next one.
 */
export class NoStore extends Store {
  override put(_: Packet, callback: DoneCallback): this {
    callback();
    return this;
  }

  override del({ messageId }: Pick<Packet, "messageId">, callback: Parameters<Store["del"]>[1]): this {
    callback(undefined, { messageId } as Packet);
    return this;
  }
}
