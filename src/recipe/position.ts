/** Where training stands: all that a resume needs beside the state files. */
export interface Position {
  readonly step: number;
  /** Examples seen by the run; progress and schedules count these. */
  readonly examples: number;
}
