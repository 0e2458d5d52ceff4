/** Whether a multiple of `every` lies behind the step at which the shard before ended. */
export const isTimeToEvaluate = (every: number, before: number, step: number): boolean =>
  Math.floor(step / every) !== Math.floor(before / every);
