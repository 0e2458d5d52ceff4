import { type CancellationScope, getExternalWorkflowHandle, workflowInfo } from '@temporalio/workflow';
import type { Watched } from '../activities/types/phase-end.ts';
import type { PhasePlan } from '../activities/types/plan.ts';
import type { MemberRef } from '../activities/types/rounds.ts';
import type { ShardResult } from '../activities/types/shard.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import { addUsed, limitedCostOf, nothingUsed, type Used } from '../src/costs/used.ts';
import type { SlotPace } from '../src/recipe/lane-lengths.ts';
import type { Pace } from '../src/recipe/pace.ts';
import type { Position } from '../src/recipe/position.ts';
import { batchAt } from '../src/recipe/steps.ts';
import type { Broken } from './failures.ts';
import {
  addEvent,
  type MergedRound,
  type PhaseEvent,
  type PhaseReport,
  type PhaseState,
  phaseReportSignal,
  type RoundStatus,
} from './messages.ts';
import { brief } from './report-size.ts';
import { roundAhead } from './round-status.ts';
import { showIn } from './search-attributes.ts';
import type { Limits, Standing, Wish } from './wishes.ts';

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
  /** Slots of the next round, where that is left open; absent: as many as there may be. */
  readonly slots?: number | null;
  /** Who was in the last round, where each slot keeps its moments. */
  readonly members?: readonly MemberRef[];
  /** How fast these were, where lanes are dealt by that. */
  readonly paces?: readonly SlotPace[];
  /** How many rounds it has had, and the last one. */
  readonly rounds?: number;
  readonly merged?: MergedRound | null;
  /** Milliseconds that its shards had a device for. */
  readonly deviceMs?: number;
  /** What they had it for, what evaluations used, and what that cost; absent in inputs of older versions. */
  readonly used?: Used;
  /** When it first began, in milliseconds. */
  readonly began?: number;
  /** How often it went back to a checkpoint by itself; absent in inputs of older versions. */
  readonly wentBack?: WentBack;
  /** What happened so far. */
  readonly events?: readonly PhaseEvent[];
  /** How many of these the run was not told yet. */
  readonly untold?: number;
  /** Wishes that are not granted yet. */
  readonly wishes?: readonly Wish[];
  /** What keeps it from training, what failed last, and what it waits for a person with. */
  readonly held?: Held;
  readonly failure?: string | null;
  readonly broken?: Broken | null;
  /** The figure that may end it, and the step at which that is to be looked at before it goes on. */
  readonly watched?: Watched | null;
  readonly due?: number | null;
}

type Held = 'paused' | 'waiting' | 'limit' | null;

/** What no person asked for: past a damaged checkpoint, and past a batch that made it diverge. */
export interface WentBack {
  readonly damaged: number;
  readonly diverged: number;
}

/** How far a phase has come. The loop of `phase.ts` and what it calls change it, handlers only add wishes. */
export class PhaseProgress {
  plan: PhasePlan;
  readonly parent: CheckpointRef | null;
  readonly teacher: CheckpointRef | null;
  scored: number;
  /** Raised whenever what is trained next would make other bytes: no commit of before is met again. */
  revision: number;
  skip: readonly number[];
  from: CheckpointRef | null;
  last: ShardResult | null;
  limits: Limits;
  pace: Pace | null;
  slots: number | null;
  members: readonly MemberRef[];
  paces: readonly SlotPace[];
  rounds: number;
  merged: MergedRound | null;
  deviceMs: number;
  used: Used;
  readonly began: number;
  wentBack: WentBack;
  readonly events: PhaseEvent[];
  readonly wishes: Wish[];

  held: Held;
  failure: string | null;
  broken: Broken | null;
  watched: Watched | null;
  due: number | null;
  #untold: number;

  // Nothing is in progress when a history ends, so what follows is not carried over.
  state: PhaseState;
  doing: string | null = null;
  /** The round that is under way. */
  round: RoundStatus | null = null;
  /** What is scored or trained just now. */
  shard: CancellationScope | null = null;
  /** Its run wants to begin a new history, and needs it back for that. */
  handingOver = false;

  constructor({ plan, ...input }: PhaseInput) {
    this.plan = plan;
    this.parent = input.parent ?? named(plan.origin);
    this.teacher = input.teacher ?? named(plan.curation?.teacher);
    this.scored = input.scored ?? 0;
    this.revision = input.revision ?? 0;
    this.skip = input.skip ?? [];
    this.from = input.from ?? null;
    this.last = input.last ?? null;
    this.limits = input.limits ?? plan.limits ?? {};
    this.pace = input.pace ?? null;
    this.slots = input.slots ?? null;
    this.members = input.members ?? [];
    this.paces = input.paces ?? [];
    this.rounds = input.rounds ?? 0;
    this.merged = input.merged ?? null;
    this.deviceMs = input.deviceMs ?? 0;
    this.used = input.used ?? nothingUsed;
    this.began = input.began ?? Date.now();
    this.wentBack = input.wentBack ?? { damaged: 0, diverged: 0 };
    this.events = [...(input.events ?? [])];
    this.#untold = input.untold ?? 0;
    this.wishes = [...(input.wishes ?? [])];
    this.held = input.held ?? null;
    this.failure = input.failure ?? null;
    this.broken = input.broken ?? null;
    this.watched = input.watched ?? null;
    this.due = input.due ?? null;
    this.state = this.held ?? this.working;
  }

  /** What it is at when nothing holds it. */
  get working(): 'scoring' | 'training' {
    return this.plan.curation && !this.plan.curation.sealed ? 'scoring' : 'training';
  }

  get position(): Position {
    const { step, examples } = this.from ?? this.plan.from;
    return { step, examples };
  }

  get step(): number {
    return this.position.step;
  }

  /** What device work of it has used. */
  spend({ deviceMs = 0, used }: { readonly deviceMs?: number; readonly used?: Used }): void {
    this.deviceMs += deviceMs;
    if (used) this.used = addUsed(this.used, used);
  }

  /** For the history that comes after this one. */
  carried(): PhaseInput {
    const { plan, parent, teacher, scored, revision, skip, from, last, limits, pace, deviceMs, began, used } = this;
    const { wentBack, events, wishes, held, failure, broken, watched, due } = this;
    const curation = plan.curation && { teacher, scored };
    const counts = { revision, deviceMs, used, began, wentBack, untold: this.#untold };
    const watches = (plan.tasks?.earlyStopping ?? plan.tasks?.guard) && { watched, due };
    const stands = {
      held,
      failure,
      broken,
      ...watches,
      ...(plan.replicas && { slots: this.slots, members: this.members, rounds: this.rounds, merged: this.merged }),
      ...(plan.replicas?.lanes === 'paced' && { paces: this.paces }),
    };
    return { plan, parent, ...curation, skip, from, last, limits, pace, ...counts, events, wishes, ...stands };
  }

  /** Small, whatever the phase met: its run keeps every report in its history. */
  report(): PhaseReport {
    const { plan, state, revision, last, failure, doing, deviceMs, began, watched, used } = this;
    const { phase, from, to, batch } = plan;
    const notes = this.#untold > 0 ? this.events.slice(-this.#untold) : [];
    const spent = { deviceMs, began, used };
    const round = this.roundNow;
    return brief({
      phase,
      state,
      from: from.step,
      total: to.step,
      revision,
      batch,
      last,
      failure,
      doing,
      spent,
      notes,
      ...(watched && { watched }),
      ...(round && { round }),
    });
  }

  /** The round that is under way, or that comes next when nothing holds it. */
  get roundNow(): RoundStatus | null {
    return this.round ?? (this.state === 'training' ? roundAhead(this) : null);
  }

  standing(): Standing {
    const { phase, batch, branches, fixedBatches, from, to, replicas, begins = from } = this.plan;
    const { state, step, deviceMs, used } = this;
    const next = batchAt(step - begins.step, this.skip);
    const span = { from: from.step, total: to.step, step, next };
    const spent = { deviceMs, wallMs: Date.now() - this.began, cost: limitedCostOf(used) };
    return { phase, state, batch, branches, fixedBatches, replicas, ...span, ...spent };
  }

  note(what: string): void {
    addEvent(this.events, this.step, what);
    this.#untold = Math.min(this.#untold + 1, this.events.length);
  }

  leaveOut(batches: readonly number[]): void {
    this.skip = [...new Set([...this.skip, ...batches])].sort((a, b) => a - b);
  }

  /** Comes to a state, and says so: to who looks for it, and to the recipe that started it. */
  async tell(state: PhaseState): Promise<void> {
    this.state = state;
    showIn({ run: this.plan.run, phase: this.plan.phase, state, step: this.step });
    const report = this.report();
    this.#untold = 0;
    const { parent } = workflowInfo();
    // A parent that is gone needs no report.
    if (parent)
      await getExternalWorkflowHandle(parent.workflowId)
        .signal(phaseReportSignal, report)
        .catch(() => {});
  }
}

/** The checkpoint that a plan names; null where it names an earlier phase of the run, or nothing. */
function named(source: PhasePlan['origin'] | undefined): CheckpointRef | null {
  return source && 'checkpoint' in source ? source.checkpoint : null;
}
