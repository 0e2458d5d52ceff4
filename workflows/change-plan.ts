import type { Overrides } from '../src/recipe/overrides.ts';
import { changedReplicas, type ReplicasChanges } from '../src/recipe/replicas.ts';
import { counted, outOf } from '../src/runtime/count-text.ts';
import { activitiesBy } from './activities-by.ts';
import { indexed } from './index-shards.ts';
import type { PhaseProgress } from './phase-progress.ts';
import { lightOptions } from './policies.ts';
import { inWords } from './wishes.ts';

const { replan } = activitiesBy(lightOptions);

/** Other settings for what is left of a phase. They give other bytes, so its revision goes up. */
export async function change(phase: PhaseProgress, { skip: leftOut, ...overrides }: Overrides): Promise<void> {
  if (leftOut) {
    phase.leaveOut(Array.from({ length: leftOut.to - leftOut.from + 1 }, (_, i) => leftOut.from + i));
    phase.note(`leaves out batches ${leftOut.from} to ${leftOut.to}`);
  }
  if (Object.keys(overrides).length > 0) {
    const { plan, position: at, skip } = phase;
    // What is of other data is read first.
    if (overrides.data !== undefined || overrides.read !== undefined) await indexAnew(phase, overrides);
    const { skip: counted, changes = [], ...changed } = await replan({ plan, overrides, at, skip });
    phase.plan = changed;
    phase.skip = counted ?? skip;
    // Other settings, other times.
    phase.pace = null;
    if (changes.length > 0)
      phase.note(changes.map(({ what, from, to }) => `${what} ${inWords(from)} -> ${inWords(to)}`).join(', '));
  } else if (!leftOut) return;
  phase.revision += 1;
}

async function indexAnew(phase: PhaseProgress, overrides: Omit<Overrides, 'skip'>): Promise<void> {
  const { plan } = phase;
  await indexed({ run: plan.run, plan, overrides }, (done, of) => {
    phase.doing = `indexed ${outOf(done, of, 'shard')}`;
  });
  phase.doing = null;
}

/** Other replicas from the next round on. */
export async function changeReplicas(phase: PhaseProgress, changes: ReplicasChanges): Promise<void> {
  const { plan } = phase;
  if (!plan.replicas) return;
  const replicas = changedReplicas(plan.replicas, changes);
  const { changes: _, skip: __, ...changed } = await replan({ plan, overrides: {}, replicas });
  phase.plan = changed;
  phase.slots = null;
  phase.note(`replicas ${inWords(plan.replicas)} -> ${inWords(replicas)}`);
  phase.revision += 1;
}

/** More steps, over which the rest of the schedule is spread. */
export async function extend(phase: PhaseProgress, steps: number): Promise<void> {
  const { step } = phase.plan.to;
  const { changes: _, ...longer } = await replan({
    ...{ plan: phase.plan, overrides: {} },
    extend: { steps, at: phase.position },
  });
  phase.plan = longer;
  phase.note(`extended by ${counted(steps, 'step')}: ends at step ${longer.to.step}, not ${step}`);
  phase.revision += 1;
}
