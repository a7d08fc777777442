/** Bounds that agent, broker and helper share. Each has its unit in the name. */
export const limits = {
  /** Longest topic or filter accepted, in UTF-8 bytes. The protocol's own bound is 65,535. */
  maxTopicBytes: 1_024,
  /** Most levels of a topic or filter. */
  maxTopicLevels: 32,
  /** Longest identifier (agent, broker, client, venue, symbol) before percent-encoding, in characters. */
  maxIdLength: 128,
  /** Largest single record as JSON, in bytes. */
  maxRecordBytes: 16_384,
  /** Most records in one batch payload. */
  maxBatchRecords: 4_096,
  /** Largest file of balancing rules, in either format, in bytes. */
  maxBalancingBytes: 1_048_576,
  /** Most instances in one file of balancing rules. */
  maxBalancingInstances: 10_000,
  /** Largest weight of a member. */
  maxWeight: 1_000_000,
  /** Longest decimal string (price or size), in characters. */
  maxDecimalLength: 64,
} as const;
