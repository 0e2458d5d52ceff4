import type { Tensor } from '@tensorflow/tfjs';

/** Features of which only the pooled ones are at hand. */
export const onlyPooled = (pooled: Tensor) => ({
  pooled,
  get encoded(): Tensor {
    throw new Error('of these features the pooled ones alone are at hand');
  },
});
