import { z } from 'zod';
import type { PhaseSettings } from '../train/protocol.ts';

/** The objectives of a phase as a recipe writes them: what is absent is off. */
export const objectivesSchema = z.strictObject({
  sigmoid: z.number().positive().optional().describe('Weight of the sigmoid loss.'),
});

export type Objectives = z.infer<typeof objectivesSchema>;

/** The settings of each objective that is on, and the arrays of a batch that they need. */
export function resolveObjectives({ sigmoid }: Objectives): {
  readonly objectives: PhaseSettings['objectives'];
  readonly parts: NonNullable<PhaseSettings['batches']['parts']>;
} {
  return {
    objectives: { ...(sigmoid !== undefined && { sigmoid: { weight: sigmoid } }) },
    parts: {},
  };
}
