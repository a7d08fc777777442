export { Broker, type BrokerSurroundings } from "./broker.ts";
export { type BrokerConfig, program, settings } from "./config.ts";
