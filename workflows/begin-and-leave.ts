import { CancellationScope, isCancellation, patched } from '@temporalio/workflow';
import { addUsed } from '../src/costs/used.ts';
import { activitiesBy } from './activities-by.ts';
import { sentence } from './failures.ts';
import type { PhaseProgress } from './phase-progress.ts';
import { lightOptions, tidyOptions } from './policies.ts';

// What a phase ended with is recorded whatever that takes; what takes room is tried a few times.
const { beginPhase, sweep: endAndSweep } = activitiesBy(lightOptions);
const { pruneCheckpoints, sweep } = activitiesBy(tidyOptions);

/** Phases that know where they begin in their bucket: asked once, and not again after the first shard. */
const begun = new WeakSet<PhaseProgress>();

/** Before its first shard: where it begins, or goes on, beside what earlier starts of the run left in the bucket. */
export async function begin(phase: PhaseProgress): Promise<void> {
  // Runs of before this was written begin at revision 0.
  if (phase.from !== null || begun.has(phase) || !patched('begins-above')) return;
  const { plan, parent, skip, revision } = phase;
  const { from, notes, used, ...where } = await beginPhase({ plan, parent, skip, revision });
  begun.add(phase);
  phase.revision = where.revision;
  phase.from = from;
  // Before its first shard, so once, however often a shard is begun before there is a checkpoint.
  if (used && phase.used.ms.preparing === undefined) phase.used = addUsed(used, phase.used);
  for (const note of notes) phase.note(note);
  if (notes.length === 0) return;
  // Shown by status until the first shard is done.
  phase.doing = notes.join('; ');
  await phase.tell(phase.working);
}

/** After a shard: what only takes room goes. */
export async function prune(phase: PhaseProgress): Promise<void> {
  const { plan, from, revision } = phase;
  phase.doing = null;
  if (plan.keep !== undefined) await tidy(phase, () => pruneCheckpoints({ plan, from, revision }));
}

/** At its end: records what it ended with, lets go of what it borrowed, and sweeps. */
export async function end(phase: PhaseProgress): Promise<void> {
  const { plan, last } = phase;
  const { run } = plan;
  if (plan.keep !== undefined)
    await tidy(phase, () => endAndSweep({ run, plan, ...(last && { ended: last.checkpoint }) }));
}

/** When it ends without its end: what it borrowed and what is too many goes all the same. */
export async function leave(phase: PhaseProgress): Promise<void> {
  const { plan } = phase;
  // Runs of before this was written left it.
  if (plan.keep === undefined || !patched('leaves-tidy')) return;
  await CancellationScope.nonCancellable(async () => {
    await prune(phase);
    await tidy(phase, () => sweep({ run: plan.run, plan }));
  });
}

/** What only takes room fails no phase, and is tried again after the next shard. */
async function tidy(phase: PhaseProgress, deletion: () => Promise<unknown>): Promise<void> {
  await deletion().catch((error) => {
    if (!isCancellation(error)) phase.note(`not tidied: ${sentence(error)}`);
  });
}
