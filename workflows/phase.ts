import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  ContinueAsNew,
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  proxyActivities,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Activities, CurationPlan, PhasePlan, ShardResult } from '../activities/types.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import type { Overrides } from '../src/recipe/overrides.ts';
import type { Pace } from '../src/recipe/pace.ts';
import { nextCut } from '../src/recipe/shards.ts';
import { batchAt } from '../src/recipe/steps.ts';
import { type PhaseAlone, planned } from './alone.ts';
import { abandoned, clearFailure, damagedStep, divergenceOf, rootFailure, sentence } from './failures.ts';
import { merged, reached, stopInTime } from './limits.ts';
import {
  historyQuery,
  type PhaseEvent,
  type PhaseReport,
  type PhaseState,
  phaseReportSignal,
  planQuery,
  statusOf,
  statusQuery,
} from './messages.ts';
import { lightOptions, scoresOfOneHistory, shardsOfOneHistory, trainOptions } from './policies.ts';
import { scoreShards, sealed } from './score-teacher.ts';
import { showIn } from './search-attributes.ts';
import {
  type Limits,
  type Standing,
  steerUpdates,
  type Wish,
  type WishKind,
  wishOf,
  wishProblem,
  wishSignal,
} from './steering.ts';

/** What a phase begins with, and what it carries over when it continues as new. */
export interface PhaseInput {
  readonly plan: PhasePlan;
  /** The checkpoint that it goes on from; by default the one that its plan names. */
  readonly parent?: CheckpointRef | null;
  /** The model that scores in a phase of curation; by default the one that its plan names. */
  readonly teacher?: CheckpointRef | null;
  /** Shards of the data that it has scored. */
  readonly scored?: number;
  readonly revision?: number;
  /** Batches that are left out. */
  readonly skip?: readonly number[];
  readonly from?: CheckpointRef | null;
  readonly last?: ShardResult | null;
  readonly limits?: Limits;
  /** What its shards found out of how often checkpoints are worth it, where the plan says auto. */
  readonly pace?: Pace | null;
  /** Milliseconds that its shards had a device for. */
  readonly deviceMs?: number;
  /** When it first began, in milliseconds. */
  readonly began?: number;
  /** What happened so far. */
  readonly events?: readonly PhaseEvent[];
  /** Wishes that are not granted yet. */
  readonly wishes?: readonly Wish[];
}

/** What a phase ends with, and the plan that it had then; phases of older versions don't say. */
export type PhaseEnd = ShardResult & { readonly plan?: PhasePlan };

/** More damage than this in one phase is no accident of a disk. */
const mostRecoveries = 5;
const mostEvents = 200;

const { trainShard } = proxyActivities<Activities>(trainOptions);
const { recoverCheckpoint, replan, pruneCheckpoints, sweep } = proxyActivities<Activities>(lightOptions);

/**
 * One phase: shards one after another, each from the recorded result of the one before. Ends with the last
 * checkpoint. When cancelled it ends with the checkpoint that the shard in progress could still commit. What fails and
 * can't be tried again makes it wait for a person; handlers of updates only note a wish, and the loop below grants it.
 */
export async function siglip2Phase(given: PhaseInput | PhaseAlone): Promise<PhaseEnd> {
  const input = 'recipe' in given ? await planned(given) : given;
  const parent =
    input.parent ?? (input.plan.origin && 'checkpoint' in input.plan.origin ? input.plan.origin.checkpoint : null);
  const teacher =
    input.teacher ??
    (input.plan.curation && 'checkpoint' in input.plan.curation.teacher
      ? input.plan.curation.teacher.checkpoint
      : null);
  let { plan, scored = 0, revision = 0, skip = [], from = null, last = null } = input;
  let { limits = {}, pace = null, deviceMs = 0 } = input;
  const { began: start = Date.now() } = input;
  const events = [...(input.events ?? [])];
  const wishes = [...(input.wishes ?? [])];
  /** What it is at when nothing holds it. */
  const working = (): PhaseState => (plan.curation && !plan.curation.sealed ? 'scoring' : 'training');
  let state: PhaseState = working();
  let doing: string | null = null;
  let failure: string | null = null;
  let shard: CancellationScope | null = null;
  const at = () => from?.step ?? plan.from.step;
  const report = (): PhaseReport => {
    return {
      phase: plan.phase,
      state,
      from: plan.from.step,
      total: plan.to.step,
      revision,
      batch: plan.batch,
      last,
      failure,
      doing,
    };
  };
  const standing = (): Standing => {
    const { phase, batch, branches, fixedBatches, begins = plan.from } = plan;
    const next = batchAt(at() - begins.step, skip);
    return { phase, state, batch, branches, fixedBatches, step: at(), next };
  };
  const note = (what: string) => {
    events.push({ at: new Date().toISOString(), step: at(), what });
    if (events.length > mostEvents) events.shift();
  };
  const tell = async (next: PhaseState) => {
    state = next;
    showIn({ run: plan.run, phase: plan.phase, state, step: at() });
    const parent = workflowInfo().parent;
    // A parent that is gone needs no report.
    if (parent)
      await getExternalWorkflowHandle(parent.workflowId)
        .signal(phaseReportSignal, report())
        .catch(() => {});
  };
  const take = (wish: Wish) => {
    wishes.push(wish);
    note(`asked for: ${wish.kind}`);
    // What is being trained ends with a checkpoint; the loop sees to the rest.
    if (wish.kind !== 'resume') shard?.cancel();
  };
  setHandler(statusQuery, () => statusOf(plan.run, state, report(), plan.batch, failure, workflowInfo().unsafe.now()));
  setHandler(planQuery, () => [{ ...plan, ...pace }]);
  setHandler(historyQuery, () => ({ [plan.phase]: events }));
  setHandler(wishSignal, (wish) => {
    // Its recipe judged by the last report; since then the phase may have come to another state.
    const problem = wishProblem(wish, standing());
    if (problem === null) take(wish);
    else note(`too late: ${problem}`);
  });
  for (const kind of Object.keys(steerUpdates) as WishKind[]) {
    const validator = (argument?: object) => {
      const problem = wishProblem(wishOf(kind, argument as never), standing());
      if (problem !== null) throw ApplicationFailure.create({ message: problem, type: 'Refused', nonRetryable: true });
    };
    setHandler(
      steerUpdates[kind],
      (argument?: object) => {
        take(wishOf(kind, argument as never));
        return 'accepted';
      },
      { validator: validator as never },
    );
  }

  /** Grants what was wished; what `held` says keeps the phase from training. */
  let held: 'paused' | 'waiting' | 'limit' | null = null;
  let broken: unknown = null;
  async function grant(): Promise<void> {
    for (let wish = wishes.shift(); wish; wish = wishes.shift()) {
      if (wish.kind === 'abandonPhase') throw abandoned(plan.phase, at(), broken);
      if (wish.kind === 'pause') held = 'paused';
      if (wish.kind === 'resume') held = null;
      if (wish.kind === 'setLimits') {
        limits = merged(limits, wish.limits);
        if (held === 'limit') held = null;
      }
      if (wish.kind === 'extend') {
        const { step, examples } = from ?? plan.from;
        try {
          plan = await replan({ plan, overrides: {}, extend: { steps: wish.steps, at: { step, examples } } });
          revision += 1;
        } catch (error) {
          if (isCancellation(error)) throw error;
          note(`not extended: ${sentence(error)}`);
        }
      }
      if (wish.kind === 'retryPhase') {
        try {
          await change(wish.overrides);
        } catch (error) {
          if (isCancellation(error)) throw error;
          // The data can't be read, or can't be trained on by this phase: it stands as before.
          note(`not tried again: ${sentence(error)}`);
          failure = sentence(error);
          held ??= 'waiting';
          continue;
        }
        held = null;
        broken = null;
        failure = null;
        if (plan.curation) {
          // Scores that are there are looked at again, and made where they are missing.
          plan = { ...plan, curation: { ...plan.curation, sealed: null } };
          scored = 0;
        }
      }
    }
    if (held === null && broken === null && reached(limits, at(), deviceMs, Date.now() - start)) held = 'limit';
  }

  /** Other settings for what is left of the phase. */
  async function change({ skip: leftOut, ...overrides }: Overrides): Promise<void> {
    if (leftOut) {
      const batches = Array.from({ length: leftOut.to - leftOut.from + 1 }, (_, i) => leftOut.from + i);
      skip = [...new Set([...skip, ...batches])].sort((a, b) => a - b);
      note(`leaves out batches ${leftOut.from} to ${leftOut.to}`);
    }
    if (Object.keys(overrides).length > 0) {
      const { step, examples } = from ?? plan.from;
      const { skip: counted, ...changed } = await replan({ plan, overrides, at: { step, examples }, skip });
      plan = changed;
      skip = counted ?? skip;
      // Other settings, other times.
      pace = null;
    } else if (!leftOut) return;
    // Other settings give other bytes: no commit of before is met again.
    revision += 1;
  }

  /** Back to a checkpoint that still verifies. Steps of before the batch was changed are trained again with the new one. */
  async function goBack(belowStep: number): Promise<void> {
    from = await recoverCheckpoint({ plan, parent, skip, revision, belowStep });
    revision += 1;
    if (plan.begins && at() < plan.begins.step) await change({ batch: plan.batch });
  }

  /** A part of the shards is scored; when all are, the plan names the teacher and the scores. */
  async function score(curation: CurationPlan): Promise<void> {
    if (!teacher) throw ApplicationFailure.create({ message: noTeacher(plan.phase), nonRetryable: true });
    const at = { plan: { ...plan, curation }, teacher };
    const end = curation.stored ? Math.min(curation.shards, scored + scoresOfOneHistory) : 0;
    const onScored = async (count: number) => {
      const before = scored + count - 1;
      doing = `scored ${before + 1} of ${curation.shards} shards`;
      const tenths = (done: number) => Math.floor((10 * done) / curation.shards);
      if (tenths(before) < tenths(before + 1)) await tell('scoring');
    };
    if (scored < end) await scoreShards({ ...at, from: scored, to: end, onScored });
    scored = end;
    doing = null;
    if (curation.stored && scored < curation.shards) return;
    const before = plan.settings.sha256;
    plan = await sealed(at);
    // Scores that were made again on another device: no commit of before is met again.
    if (from !== null && plan.settings.sha256 !== before) revision += 1;
  }

  /** What only takes room fails no phase, and is tried again after the next shard. */
  async function tidy(deletion: () => Promise<unknown>): Promise<void> {
    await deletion().catch((error) => {
      if (!isCancellation(error)) note(`not tidied: ${sentence(error)}`);
    });
  }

  try {
    await tell(working());
    for (let shards = 0; at() < plan.to.step; shards++) {
      await grant();
      if (held !== null) {
        await tell(held);
        await condition(() => wishes.length > 0);
        await grant();
        if (held === null) await tell(working());
        continue;
      }
      const scores = shards > 0 && scored > 0 && working() === 'scoring';
      if (scores || shards >= shardsOfOneHistory || workflowInfo().continueAsNewSuggested) {
        await condition(allHandlersFinished);
        await continueAsNew<typeof siglip2Phase>({
          plan,
          parent,
          ...(plan.curation && { teacher, scored }),
          skip,
          revision,
          from,
          last,
          limits,
          pace,
          deviceMs,
          began: start,
          events,
          wishes,
        });
      }
      const end = Math.min(plan.to.step, limits.step ?? plan.to.step);
      const size = plan.shardSteps === 'auto' ? (pace?.shardSteps ?? end) : plan.shardSteps;
      const toStep = nextCut(at(), size, end, plan.branches);
      const began = Date.now();
      try {
        shard = new CancellationScope();
        if (plan.curation && !plan.curation.sealed) {
          await shard.run(() => score(plan.curation!));
          await tell(working());
          continue;
        }
        last = await shard.run(() => {
          stopInTime(shard!, limits, deviceMs, start);
          return trainShard({ plan, revision, parent, skip, from, toStep, pace });
        });
        from = last.checkpoint;
        pace ??= last.pace ?? null;
        if (plan.keep !== undefined) await tidy(() => pruneCheckpoints({ plan, from }));
      } catch (error) {
        // What the teacher lacks is not mended by training again from an older checkpoint.
        const damage = working() === 'training' ? rootFailure(error) : null;
        // Stopped before its first checkpoint, and not by who wants the phase to end: a wish is looked at next.
        if (isCancellation(error)) {
          if (CancellationScope.current().consideredCancelled) throw error;
        } else if (damage?.type === 'CheckpointDamaged' && revision < mostRecoveries) {
          failure = damage.message;
          note(damage.message);
          await tell('recovering');
          const belowStep = damagedStep(damage.details) ?? at();
          await goBack(belowStep);
        } else if (damage?.type === 'NonFinite' && skip.length < (plan.leaveOut ?? 0)) {
          const { step, batch } = divergenceOf(damage.details);
          failure = damage.message;
          await tell('recovering');
          const { begins } = plan;
          await goBack(step);
          note(`${damage.message}; goes back to step ${at()} and leaves out batch ${batch}`);
          // Batches that were counted anew meanwhile have other numbers.
          if (plan.begins === begins) skip = [...new Set([...skip, batch])].sort((a, b) => a - b);
        } else {
          failure = sentence(error);
          broken = error;
          held = 'waiting';
          note(failure);
        }
      } finally {
        // Timers that were to stop it.
        shard?.cancel();
        shard = null;
        deviceMs += Date.now() - began;
      }
      // A cancelled shard answers with what it could commit; the wish to end comes through here.
      if (CancellationScope.current().consideredCancelled) break;
      if (held === null) await tell(working());
    }
  } catch (error) {
    if (error instanceof ContinueAsNew) throw error;
    if (isCancellation(error)) state = 'stopped';
    else failure = sentence(error);
    await CancellationScope.nonCancellable(() => tell(state === 'stopped' ? 'stopped' : 'failed'));
    throw clearFailure(error);
  }
  if (at() < plan.to.step) {
    await CancellationScope.nonCancellable(() => tell('stopped'));
    await CancellationScope.current().cancelRequested;
  }
  if (plan.keep !== undefined) await tidy(() => sweep({ run: plan.run, plan }));
  await tell('done');
  return { ...last!, plan };
}
const noTeacher = (phase: string) =>
  `phase ${phase} is scored by a teacher, and none was given: start it with "teacher", a checkpoint reference, beside "plan"`;
