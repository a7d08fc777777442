/** Contract: what requests and commands need of the buffer. Records are JSON, exactly as they are published. */
export interface Archive {
  /** Every record here is of this epoch. */
  readonly epoch: string;
  streams(): { venue: string; symbol: string }[];
  /** The newest trade of a stream since the start; undefined before the first. */
  latest(venue: string, symbol: string): string | undefined;
  /**
   * Records of a stream that are still here, acknowledged or not, in order of sequence, at most `limit`.
   * @throws EquipoiseError EQ_STORE_FAILED, EQ_STORE_DAMAGED
   */
  range(venue: string, symbol: string, fromSeq: number, toSeq: number, limit: number): Promise<string[]>;
}
