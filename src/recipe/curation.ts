import { z } from 'zod';
import { phaseName } from './phase-name.ts';

/** A checkpoint of another run, as a recipe names it. */
export const checkpointOfRunSchema = z.strictObject({
  run: z
    .string()
    .regex(/^(?!\.{1,2}$)[A-Za-z0-9._:-]{1,200}$/, 'the name of a run')
    .describe('Name of the other run.'),
  phase: phaseName.describe('Phase of it.'),
  step: z.int().min(0).optional().describe('By default the newest checkpoint.'),
});
export type CheckpointOfRun = z.infer<typeof checkpointOfRunSchema>;

/** Active curation: of each super-batch the examples are chosen that there is most to learn from (JEST, ACID). */
export const curationSchema = z.strictObject({
  teacher: z
    .union(
      [phaseName, checkpointOfRunSchema],
      'an earlier phase by its name, or a checkpoint of another run, {"run": "large", "phase": "curated"}',
    )
    .describe('The model that scores: its last checkpoint.'),
  filterRatio: z
    .number()
    .min(0.01)
    .max(0.99)
    .default(0.5)
    .describe('Share of a super-batch that is left out: 0.5 for B/16 and 0.75 for B/32 in the paper.'),
  chunks: z.int().min(1).max(1024).default(16).describe('A sub-batch is drawn in so many parts (arXiv 2406.17711).'),
  scores: z
    .enum(['learnability', 'easyReference', 'hardLearner'])
    .default('learnability')
    .describe('Loss of the learner less that of the teacher; the other two look at one of them alone.'),
  joint: z
    .boolean()
    .default(true)
    .describe('Pairs are scored together with what is chosen already; false: each example for itself.'),
  scoring: z
    .enum(['stored', 'online'])
    .default('stored')
    .describe('stored: the teacher embeds every example once, before the phase. online: at every step.'),
  // No default: what phases of older recipes are known by would change.
  overlap: z
    .boolean()
    .optional()
    .describe(
      'true: the next examples are chosen while a step runs, so with the learner of one step before. By default false, as in the papers.',
    ),
  dtype: z.enum(['f32', 'bf16']).default('bf16').describe('How embeddings of the teacher are stored.'),
});
export type CurationRecipe = z.infer<typeof curationSchema>;

/** Examples of a super-batch: batch / (1 - filterRatio). */
export function superBatch({ filterRatio }: Pick<CurationRecipe, 'filterRatio'>, batch: number): number {
  // Ratios such as 2/3 are written with a few digits.
  return Math.round(batch / (1 - filterRatio));
}
