/** The public names of @equipoise/shared; the consumer helper has its own entry, `@equipoise/shared/client`. */
export { backoffMs } from "./backoff.ts";
export { brokerUrlFault, credentialsFault, withoutCredentials } from "./broker-url.ts";
export { readAuthority, readIdentity } from "./certificate-files.ts";
export { type Clock, systemClock } from "./clock.ts";
export { type Command, type Environment, readArgs, usage } from "./command/command.ts";
export { folded, foldedHelp, tableColumns } from "./command/fold.ts";
export { bulkOutput, isEnough, outputError } from "./command/output.ts";
export { type Commands, runCommand } from "./command/run.ts";
export * from "./config/index.ts";
export {
  ControlClient,
  type ControlPlace,
  controlHelp,
  controlOptions,
  socketHelp,
  socketOptions,
} from "./control/client.ts";
export { type ControlAnswer, type ControlHandler, ControlSocket } from "./control/server.ts";
export { decimalFromNumberToken, isDecimal, parseJsonKeepingDigits } from "./decimal.ts";
export { Deque } from "./deque.ts";
export { ensureDirectory, syncDirectory } from "./directory.ts";
export { EquipoiseError, type ErrorCode, errorTable, reasonOf, systemCode } from "./errors.ts";
export { EventLoopDelay } from "./event-loop-delay.ts";
export { type BrokerLoad, compareLoads, decodeBrokerLoad, isClearlyBetter, type Welcome } from "./flow.ts";
export { Heard } from "./heard.ts";
export {
  type AgentHeartbeat,
  type BrokerHeartbeat,
  decodeMemberHeartbeat,
  type MemberHeartbeat,
  type MemberReport,
  memberHeartbeat,
  type PoolReport,
  type Throttle,
} from "./heartbeat.ts";
export * from "./http/index.ts";
export { limits } from "./limits.ts";
export { afterListening } from "./listening.ts";
export { createLogger, type Logger, stderrStream } from "./log.ts";
export { sendAtOnce } from "./no-delay.ts";
export { decodePayload } from "./payload.ts";
export { configFrom, exitCodeOf, exitCodes, report, runService, type Service, warn } from "./service.ts";
export { shuffled } from "./shuffle.ts";
export { Silence } from "./silence.ts";
export { requireSqliteSystem, sqliteSystemFault } from "./sqlite-system.ts";
export { Notifier, type NotifierOptions } from "./systemd.ts";
export {
  encodeRecord,
  encodeTrade,
  type Gap,
  type GapReason,
  isEncodedGap,
  type Missing,
  recordFault,
  type Sequenced,
  type Side,
  seqOfEncoded,
  type TickRecord,
  type Trade,
  type VenueGap,
  type VenueTrade,
  venueTradeFault,
} from "./tick.ts";
export { decodeTickBatch, encodeTickBatch } from "./tick-batch.ts";
export { closedReason, isTlsFailure, readTlsFiles, type TlsClientFiles, type TlsOptions } from "./tls.ts";
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
export { withinMs } from "./within.ts";
