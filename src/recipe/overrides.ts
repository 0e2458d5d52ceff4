import { z } from 'zod';
import { trainSchema } from './places-schema.ts';
import { readProblems } from './reading.ts';
import { recipeSchema } from './schema.ts';

const positive = z.number().positive();

const left = z.int().min(0);

/** What `retryPhase` may change of a phase. */
export const overridesSchema = z.strictObject({
  learningRate: positive.optional(),
  weightDecay: z.number().min(0).optional(),
  clipNorm: positive.optional(),
  precision: recipeSchema.shape.precision.unwrap().optional(),
  xla: recipeSchema.shape.xla,
  accumulate: z.int().positive().optional(),
  remat: z.enum(['none', 'blocks']).optional(),
  batch: recipeSchema.shape.phases.element.shape.batch.optional(),
  data: trainSchema.optional(),
  read: recipeSchema.shape.data.shape.read,
  maxBroken: recipeSchema.shape.data.shape.maxBroken,
  skip: z.strictObject({ from: left, to: left }).optional().describe('Batches to leave out, the first and the last.'),
  teacherTemperature: positive.optional(),
  centerMomentum: z.number().min(0).max(1).optional(),
  minInformation: recipeSchema.shape.divergence.unwrap().shape.minInformation,
  checkpointEvery: z.int().positive().optional().describe('Steps.'),
  shardSteps: z.int().positive().optional(),
});

export type Overrides = z.infer<typeof overridesSchema>;

/** More batches than this are a matter of the data. */
export const mostSkipped = 1000;

/** Where a phase stands, as far as it says what may be changed of it. */
export interface Changeable {
  readonly batch: number;
  readonly step: number;
  /** Steps at which other phases begin. */
  readonly branches: readonly number[];
  /** The batch that is next, where that is known. */
  readonly next?: number | undefined;
  /** Why its batches are what they are. */
  readonly fixedBatches?: 'naflex' | 'curation' | undefined;
}

/** What is wrong with overrides for a phase, in one sentence; null when nothing is. */
export function overridesProblem(value: unknown, of: Changeable): string | null {
  const parsed = overridesSchema.safeParse(value ?? {});
  if (parsed.success) return misfit(parsed.data, of);
  return parsed.error.issues
    .map((issue) => {
      const known = Object.keys(overridesSchema.shape).join(', ');
      if (issue.code === 'unrecognized_keys') return `${issue.keys.join(', ')} can't be overridden; allowed: ${known}`;
      return `${issue.path.join('.') || 'overrides'}: ${issue.message}`;
    })
    .join('; ');
}

function misfit({ batch, data, read, skip, accumulate = 1 }: Overrides, of: Changeable): string | null {
  const [unread] = readProblems(read, 'read');
  if (unread) return unread.message;
  const size = batch ?? of.batch;
  if (size % accumulate !== 0) return `accumulate is ${accumulate}; a divisor of the batch ${size} is allowed`;
  const fixed = of.fixedBatches && reasons[of.fixedBatches];
  if (fixed && (batch ?? data ?? read ?? skip) !== undefined) return fixed;
  const ahead = of.branches.filter((branch) => branch > of.step);
  if (batch !== undefined && batch !== of.batch && ahead.length > 0)
    return `other phases begin at step ${ahead.join(' and ')} of it, which other batches would move; change the batch after that, or leave those phases to a recipe of their own`;
  if (!skip) return null;
  const { from, to } = skip;
  if ((batch ?? data ?? read) !== undefined)
    return 'skip counts the batches as they are now; ask for it without batch and data';
  if (to < from) return `skip is from ${from} to ${to}; allowed: the first and the last batch`;
  if (to - from >= mostSkipped) return `skip names ${to - from + 1} batches; at most ${mostSkipped} are allowed`;
  if (of.next !== undefined && from < of.next)
    return `skip is from ${from}, and the next batch is ${of.next}: what was trained on can't be left out`;
  return null;
}

const reasons = {
  naflex: 'batches of images of any shape are drawn for the whole phase; start another phase from its last checkpoint',
  curation:
    'a curated phase has the batches that its data were scored for; start another phase from its last checkpoint',
} as const;
