import { z } from 'zod';
import { parseWith, readDocument, toDocument } from '../src/checkpoint/documents.ts';
import { xlaKey } from '../src/checkpoint/keys.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { PhasePlan } from './types.ts';

const ms = z.number().positive().nullable();
const choiceSchema = z.object({
  version: z.literal(1),
  xla: z.enum(['off', 'on']),
  /** What a step took; null for what failed. */
  ms: z.object({ off: ms, on: ms }),
  /** Of the program that was chosen. */
  hash: z.string().regex(/^[0-9a-f]{64}$/),
  /** Why one of them failed. */
  note: z.string().optional(),
});

/** How the steps of a phase are compiled whose recipe leaves that to measurement. */
export type XlaChoice = z.infer<typeof choiceSchema>;

/**
 * What was chosen for a phase, or null. Every later byte depends on it, so one that can't be read is not measured
 * again: DataContract.
 */
export async function recordedChoice(store: ObjectStore, plan: PhasePlan): Promise<XlaChoice | null> {
  const key = xlaKey(plan, plan.settings.sha256);
  const found = await readDocument(store, key);
  if (found === null) return null;
  const parsed = 'problem' in found ? found : parseWith(choiceSchema, found.bytes);
  if (parsed.problem === undefined) return parsed.value;
  throw new RunnerError(
    'DataContract',
    `s3://${store.bucket}/${key} no longer says whether this phase began with XLA (${parsed.problem}); put it back as ` +
      'it was, or retryPhase with xla off or on',
  );
}

/**
 * Writes the choice down, once and for all. Of two attempts that measured, what was written first counts, for both;
 * an attempt that was killed after its write finds it.
 */
export async function recordChoice(store: ObjectStore, plan: PhasePlan, choice: XlaChoice): Promise<XlaChoice> {
  const key = xlaKey(plan, plan.settings.sha256);
  try {
    await store.put(key, toDocument(choice), { ifAbsent: true, contentType: 'application/json' });
    return choice;
  } catch (error) {
    if (!isRunnerError(error, 'PreconditionFailed')) throw error;
    return (await recordedChoice(store, plan)) ?? recordChoice(store, plan, choice);
  }
}
