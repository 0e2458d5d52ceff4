import { z } from 'zod';
import { positive } from './number-schemas.ts';

/** Where a phase stops with a checkpoint, and waits; `setLimits` changes it. */
export const limitsSchema = z.strictObject({
  deviceHours: positive.optional().describe('Hours that its shards may have a device for.'),
  wallHours: positive.optional().describe('Hours by the clock from its start, pauses and outages included.'),
  cost: positive
    .optional()
    .describe('Money that its training and scoring may cost, in whatever SIGLIP2_PRICE of its workers is.'),
});
export type PhaseLimits = z.infer<typeof limitsSchema>;
