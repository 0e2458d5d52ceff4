import { z } from 'zod';

const positive = z.number().positive();

/** What `retryPhase` may change of a phase: nothing that moves its steps or examples. */
export const overridesSchema = z.strictObject({
  learningRate: positive.optional(),
  weightDecay: z.number().min(0).optional(),
  clipNorm: positive.optional(),
  precision: z.enum(['f32', 'bf16']).optional(),
  accumulate: z.int().positive().optional(),
  remat: z.enum(['none', 'blocks']).optional(),
  checkpointEvery: z.int().positive().optional().describe('Steps.'),
  shardSteps: z.int().positive().optional(),
});

export type Overrides = z.infer<typeof overridesSchema>;

/** What is wrong with overrides for a phase of such batches, in one sentence; null when nothing is. */
export function overridesProblem(value: unknown, batch: number): string | null {
  const parsed = overridesSchema.safeParse(value ?? {});
  if (parsed.success) {
    const { accumulate = 1 } = parsed.data;
    return batch % accumulate === 0 ? null : `accumulate is ${accumulate}; a divisor of the batch ${batch} is allowed`;
  }
  return parsed.error.issues
    .map((issue) => {
      const known = Object.keys(overridesSchema.shape).join(', ');
      if (issue.code === 'unrecognized_keys') return `${issue.keys.join(', ')} can't be overridden; allowed: ${known}`;
      return `${issue.path.join('.') || 'overrides'}: ${issue.message}`;
    })
    .join('; ');
}
