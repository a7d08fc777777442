/**
 * What aedes is given in place of its emitter and its store, so that it never delivers or keeps a message itself:
 * whatever it publishes enters the ingress, and subscriptions, sessions and retained messages live with their owners.
 */
import { Readable } from "node:stream";

/** A packet that aedes publishes: a will or a $SYS message. */
export interface ControlPacket {
  topic: string;
  payload: Buffer | string;
  qos: 0 | 1 | 2;
  retain: boolean;
}

type Done = (error?: Error | null) => void;

/** In place of mqemitter. @param publish takes what aedes publishes */
export function createEmitter(publish: (packet: ControlPacket) => void) {
  const finish = (done?: Done): void => done?.();
  return {
    current: 0,
    concurrency: 0,
    on: (_topic: string, _listener: unknown, done?: Done) => finish(done),
    removeListener: (_topic: string, _listener: unknown, done?: Done) => finish(done),
    emit(packet: ControlPacket, done?: Done): void {
      publish(packet);
      finish(done);
    },
    close: (done?: Done) => finish(done),
  };
}

/** In place of aedes-persistence: it has nothing and keeps nothing. */
export function createPersistence() {
  const nothing = async (): Promise<void> => {};
  const none = async (): Promise<never[]> => [];
  return {
    setup: nothing,
    storeRetained: nothing,
    createRetainedStream: () => Readable.from([]),
    createRetainedStreamCombi: () => Readable.from([]),
    addSubscriptions: nothing,
    removeSubscriptions: nothing,
    subscriptionsByClient: none,
    subscriptionsByTopic: none,
    cleanSubscriptions: nothing,
    countOffline: async () => ({ subsCount: 0, clientsCount: 0 }),
    outgoingEnqueue: nothing,
    outgoingEnqueueCombi: nothing,
    outgoingUpdate: nothing,
    outgoingClearMessageId: nothing,
    outgoingStream: () => Readable.from([]),
    incomingStorePacket: nothing,
    incomingGetPacket: nothing,
    incomingDelPacket: nothing,
    cleanIncoming: nothing,
    putWill: nothing,
    getWill: nothing,
    delWill: nothing,
    streamWill: () => Readable.from([]),
    getClientList: () => Readable.from([]),
    destroy: nothing,
  };
}
