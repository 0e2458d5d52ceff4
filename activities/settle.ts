import { join } from 'node:path';
import type { Commit } from '../src/checkpoint/types.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import type { TrainerProcess } from '../src/trainer/process.ts';
import type { TrainJob } from '../src/trainer/protocol.ts';
import { fetchDocument } from './documents.ts';
import type { Settled, StepInputs } from './measure-both.ts';
import { settlePrecision } from './settle-precision.ts';
import { settleXla } from './settle-xla.ts';
import type { Shard } from './shard.ts';
import { withTeacher } from './teacher-folder.ts';

/**
 * What the recipe leaves to measurement, one after another: XLA at the precision that was chosen. `shard.settings` are what
 * came of it; null when the attempt was stopped meanwhile.
 */
export async function settle(
  shard: Shard,
  trainer: TrainerProcess,
  start: Commit | null,
  planned: PhaseSettings,
  data: Omit<StepInputs, 'teacherFolder' | 'threads'>,
): Promise<Settled | null> {
  const threads = shard.cpu?.threads;
  return withOnlineTeacher(shard, planned, async (teacher) => {
    const inputs = { ...data, ...teacher, ...(threads && { threads }) };
    const precise = await settlePrecision(shard, trainer, start, planned, inputs);
    const settled = precise && (await settleXla(shard, trainer, start, precise.settings, inputs));
    if (settled) shard.settings = settled.settings;
    return settled && { ...precise, ...settled };
  });
}

/** What the batches of the phase are made from. */
export async function dataOf({ deps, input }: Shard, { batches }: PhaseSettings, indexFile: string) {
  const stored = batches.parts?.teacherScores?.scores;
  const scoresFile = stored && (await fetchDocument(deps.store, stored, join(deps.scratch, 'documents')));
  return { indexFile, skip: input.skip ?? [], ...(scoresFile && { scoresFile }) };
}

/** Where a teacher scores beside the learner, its model is on local disk meanwhile. */
export async function withOnlineTeacher<T>(
  { deps, input, attempt }: Shard,
  settings: PhaseSettings,
  work: (teacher: Pick<TrainJob, 'teacherFolder'>) => Promise<T>,
): Promise<T> {
  const { curation } = input.plan;
  if (!curation?.sealed || curation.stored || !settings.curation?.teacher) return work({});
  return withTeacher(deps, curation.sealed, attempt.signal, (teacherFolder) => work({ teacherFolder }));
}
