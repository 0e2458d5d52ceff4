/** Figures of one step, under the names that status and plots show. */
export interface MetricRecord {
  readonly step: number;
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly values: Readonly<Record<string, number>>;
}

/** One way of writing records down: a piece of a series, which begins where the piece before it ended. */
export interface MetricFormat {
  /** `piece` sorts as the pieces do. */
  fileName(piece: string): string;
  encode(records: readonly MetricRecord[]): Uint8Array;
}
