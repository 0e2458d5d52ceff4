import { proxyActivities } from '@temporalio/workflow';
import type { Activities, CurationPlan, PhasePlan } from '../activities/types.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { lightOptions, scoreOptions, scoresAtOnce } from './policies.ts';

const { scoreShard } = proxyActivities<Activities>(scoreOptions);
const { sealScores } = proxyActivities<Activities>(lightOptions);

export interface Scoring {
  readonly plan: PhasePlan & { readonly curation: CurationPlan };
  readonly teacher: CheckpointRef;
  /** The shards from this one up to that one are to be scored now. */
  readonly from: number;
  readonly to: number;
  /** Told with each shard how many of these are scored. */
  readonly onScored: (count: number) => Promise<void>;
}

/** Lets the teacher score shards of the data, as many at once as there are workers for them. Doing it again costs little. */
export async function scoreShards({ plan, teacher, from, to, onScored }: Scoring): Promise<void> {
  const { run, phase, settings, index, curation } = plan;
  const { model, languages, dtype } = curation;
  let next = from;
  let scored = 0;
  async function lane(): Promise<void> {
    while (next < to) {
      const shard = next++;
      await scoreShard({
        plan: { run, phase, settings, index },
        teacher: { checkpoint: teacher, model },
        shard,
        languages,
        dtype,
      });
      await onScored(++scored);
    }
  }
  await Promise.all(Array.from({ length: Math.min(scoresAtOnce, to - from) }, lane));
}

/** The plan whose settings name the teacher and, where they are stored, its scores. */
export const sealed = ({ plan, teacher }: Pick<Scoring, 'plan' | 'teacher'>): Promise<PhasePlan> =>
  sealScores({ plan, teacher });
