/** Contract: what requests and commands need of the buffer. Records are JSON, exactly as they are published. */

/** Numbers of one stream and epoch; the ends are included. */
export interface RecordRange {
  venue: string;
  symbol: string;
  /** Of the present one when absent. */
  epoch?: string | undefined;
  fromSeq: number;
  toSeq: number;
}

export interface Archive {
  /** The present one. */
  readonly epoch: string;
  /** With the last sequence number that each has used. */
  streams(): { venue: string; symbol: string; seq: number }[];
  /** The newest trade of a stream since the start; undefined before the first. */
  latest(venue: string, symbol: string): string | undefined;
  /**
   * Records of a stream that are still here, acknowledged or not, in order of sequence, at most `limit`. What
   * the database in use has not comes from those that were set aside, where it can still be read.
   * @throws EquipoiseError EQ_STORE_FAILED, EQ_STORE_DAMAGED
   */
  range(wanted: RecordRange, limit: number): Promise<string[]>;
}
