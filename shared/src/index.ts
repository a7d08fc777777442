/** The public names of @equipoise/shared; the consumer helper has its own entry, `@equipoise/shared/client`. */
export { type Clock, systemClock } from "./clock.ts";
export * from "./config/index.ts";
export { decimalFromNumberToken, isDecimal, parseJsonKeepingDigits } from "./decimal.ts";
export { ensureDirectory } from "./directory.ts";
export { EquipoiseError, type ErrorCode, errorTable, reasonOf, systemCode } from "./errors.ts";
export {
  type AgentHeartbeat,
  type BrokerHeartbeat,
  decodeMemberHeartbeat,
  type MemberHeartbeat,
  type MemberReport,
  memberHeartbeat,
  type PoolReport,
} from "./heartbeat.ts";
export { limits } from "./limits.ts";
export { createLogger, type Logger, stderrStream } from "./log.ts";
export { sendAtOnce } from "./no-delay.ts";
export { exitCodeOf, exitCodes, report, runService, type Service } from "./service.ts";
export {
  decodePayload,
  encodeRecord,
  type Gap,
  type GapReason,
  isEncodedGap,
  type Missing,
  recordFault,
  type Sequenced,
  type Side,
  type TickRecord,
  type Trade,
  type VenueGap,
  type VenueTrade,
  venueTradeFault,
} from "./tick.ts";
export {
  decodeLevel,
  encodeLevel,
  filterFault,
  normaliseSymbol,
  type ParsedFilter,
  parseFilter,
  parseTopic,
  type StreamName,
  type TopicMeaning,
  topicFault,
  topics,
} from "./topics.ts";
export { version } from "./version.ts";
