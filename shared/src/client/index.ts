/** The consumer helper: members of pools and exclusive consumers, on any MQTT 3.1.1 broker. */

export { readTlsFiles, type TlsClientFiles, type TlsOptions, type TlsSource } from "../tls.ts";
export type {
  Consumer,
  ConsumerEvent,
  ConsumerOptions,
  ConsumerStats,
  Finish,
  Handler,
  RecordContext,
} from "./consumer.ts";
export { type ExclusiveOptions, subscribe } from "./exclusive-consumer.ts";
export type { MissingTicks } from "./missing.ts";
export { joinPool, type PoolOptions } from "./pool-consumer.ts";
export { drainOnSignals } from "./signals.ts";
