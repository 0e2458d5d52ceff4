import { ApplicationFailure } from '@temporalio/workflow';
import type { CurationPlan } from '../activities/types/plan.ts';
import type { ScoreShardResult, Scoring } from '../activities/types/scoring.ts';
import { outOf } from '../src/runtime/count-text.ts';
import { activitiesBy } from './activities-by.ts';
import type { PhaseProgress } from './phase-progress.ts';
import { lightOptions, scoreOptions, scoresAtOnce, scoresOfOneHistory } from './policies.ts';

const { scoreShard } = activitiesBy(scoreOptions);
const { sealScores } = activitiesBy(lightOptions);

/** A part of the shards is scored; when all are, the plan names the teacher and, where they are stored, its scores. */
export async function score(phase: PhaseProgress, curation: CurationPlan, byDevice: boolean): Promise<void> {
  const { plan, teacher, scored } = phase;
  if (!teacher) throw ApplicationFailure.create({ message: noTeacher(plan.phase), nonRetryable: true });
  const end = curation.stored ? Math.min(curation.shards, scored + scoresOfOneHistory) : 0;
  if (scored < end) {
    const { run, settings, index } = plan;
    const { model, languages, sourceLanguages, dtype } = curation;
    const scoring = {
      plan: { run, phase: plan.phase, settings, index },
      teacher: { checkpoint: teacher, model },
      languages,
      ...(sourceLanguages && { sourceLanguages }),
      dtype,
    };
    await scoreShards(scoring, scored, end, async (count, result) => {
      if (byDevice) phase.spend(result);
      const before = scored + count - 1;
      phase.doing = `scored ${outOf(before + 1, curation.shards, 'shard')}`;
      const tenths = (done: number) => Math.floor((10 * done) / curation.shards);
      if (tenths(before) < tenths(before + 1)) await phase.tell('scoring');
    });
  }
  phase.scored = end;
  phase.doing = null;
  if (curation.stored && end < curation.shards) return;
  phase.plan = await sealScores({ plan, teacher });
  // Scores that were made again on another device: no commit of before is met again.
  if (phase.from !== null && phase.plan.settings.sha256 !== plan.settings.sha256) phase.revision += 1;
}

/**
 * Shards of the data up to `to`, as many at once as there are workers for them. Doing it again costs little.
 * `onScored` is told with each shard how many of these are scored.
 */
async function scoreShards(
  scoring: Scoring,
  from: number,
  to: number,
  onScored: (count: number, result: ScoreShardResult) => Promise<void>,
): Promise<void> {
  let next = from;
  let scored = 0;
  async function lane(): Promise<void> {
    while (next < to) {
      const result = await scoreShard({ ...scoring, shard: next++ });
      await onScored(++scored, result);
    }
  }
  await Promise.all(Array.from({ length: Math.min(scoresAtOnce, to - from) }, lane));
}

const noTeacher = (phase: string) =>
  `phase ${phase} is scored by a teacher, and none was given: start it with "teacher", a checkpoint reference, beside "plan"`;
