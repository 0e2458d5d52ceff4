import { z } from 'zod';
import { parseWith, readDocument, toDocument } from '../src/checkpoint/documents.ts';
import { type PhaseKey, precisionKey, xlaKey } from '../src/checkpoint/keys.ts';
import { isRunnerError, RunnerError } from '../src/runtime/errors.ts';
import type { ObjectStore } from '../src/storage/object-store.ts';
import type { PhasePlan } from './types/plan.ts';

/** What a recipe may leave to measurement: one of two values of a setting. */
export interface Question<V extends string> {
  readonly field: 'xla' | 'precision';
  /** What it is unless the other is faster. */
  readonly plain: V;
  readonly other: V;
  /** Where the answer lies. */
  readonly key: (at: PhaseKey, settingsSha256: string) => string;
  /** "no longer says ..." */
  readonly said: string;
  /** "measuring ..." */
  readonly asked: string;
  /** "... is on for this phase" */
  readonly name: string;
}

export const xlaQuestion: Question<'off' | 'on'> = {
  field: 'xla',
  plain: 'off',
  other: 'on',
  key: xlaKey,
  said: 'whether this phase began with XLA',
  asked: 'whether XLA is faster',
  name: 'XLA',
};

export const precisionQuestion: Question<'f32' | 'bf16'> = {
  field: 'precision',
  plain: 'f32',
  other: 'bf16',
  key: precisionKey,
  said: 'in which precision this phase began',
  asked: 'which precision is faster',
  name: 'the precision',
};

/** What was measured, and chosen by it. */
export interface MeasuredChoice<V extends string> {
  readonly chosen: V;
  /** What a step took; null for what failed. */
  readonly ms: Readonly<Record<V, number | null>>;
  /** Of the program that was chosen. */
  readonly hash: string;
  /** Why one of them failed. */
  readonly note?: string | undefined;
}

const ms = z.number().positive().nullable();

function parseChoice<V extends string>({ field, plain, other }: Question<V>, bytes: Uint8Array) {
  const form = {
    version: z.literal(1),
    ms: z.object({ [plain]: ms, [other]: ms }),
    hash: z.string().regex(/^[0-9a-f]{64}$/),
    note: z.string().optional(),
  };
  const schema = z.object({ ...form, [field]: z.enum([plain, other]) }).transform(({ ms, hash, note, ...own }) => {
    const choice = { chosen: (own as Record<string, unknown>)[field], ms, hash, ...(note !== undefined && { note }) };
    return choice as MeasuredChoice<V>;
  });
  return parseWith(schema, bytes);
}

/**
 * What was chosen for a phase, or null. Every later byte depends on it, so one that can't be read is not measured
 * again: DataContract.
 */
export async function recordedChoice<V extends string>(
  store: ObjectStore,
  plan: PhasePlan,
  question: Question<V>,
): Promise<MeasuredChoice<V> | null> {
  const key = question.key(plan, plan.settings.sha256);
  const found = await readDocument(store, key);
  if (found === null) return null;
  const parsed = 'problem' in found ? found : parseChoice(question, found.bytes);
  if (parsed.problem === undefined) return parsed.value;
  throw unreadable(store, plan, question, parsed.problem);
}

/** That an answer is gone which bytes were made by. */
export function unreadable<V extends string>(
  store: ObjectStore,
  plan: PhasePlan,
  { field, plain, other, key, said }: Question<V>,
  problem: string,
): RunnerError {
  return new RunnerError(
    'DataContract',
    `s3://${store.bucket}/${key(plan, plan.settings.sha256)} no longer says ${said} (${problem}); put it back as it ` +
      `was, or retryPhase with ${field} ${plain} or ${other}`,
  );
}

/**
 * Writes the choice down, once and for all. Of two attempts that measured, what was written first counts, for both;
 * an attempt that was killed after its write finds it.
 */
export async function recordChoice<V extends string>(
  store: ObjectStore,
  plan: PhasePlan,
  question: Question<V>,
  choice: MeasuredChoice<V>,
): Promise<MeasuredChoice<V>> {
  const { chosen, ...measured } = choice;
  const body = toDocument({ version: 1, [question.field]: chosen, ...measured });
  try {
    const key = question.key(plan, plan.settings.sha256);
    await store.put(key, body, { ifAbsent: true, contentType: 'application/json' });
    return choice;
  } catch (error) {
    if (!isRunnerError(error, 'PreconditionFailed')) throw error;
    return (await recordedChoice(store, plan, question)) ?? recordChoice(store, plan, question, choice);
  }
}
