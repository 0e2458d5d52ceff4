import {
  ApplicationFailure,
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  getExternalWorkflowHandle,
  isCancellation,
  patched,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { RunPlan } from '../activities/types/plan.ts';
import { rootFailure, sentence } from './failures.ts';
import type { PhaseState } from './messages.ts';
import { type GraphState, newestLines } from './phase-graph.ts';
import { handOverSignal } from './phase-handlers.ts';
import type { PhaseInput } from './phase-progress.ts';
import type { HandedOver, PhaseEnd, PhaseResult } from './results.ts';
import { wishSignal } from './steering.ts';
import type { Wish } from './wishes.ts';

/** How far a phase has come when its run begins a new history. */
export type Stage =
  /** It is open: what it goes on with. */
  | { readonly input: PhaseInput }
  /** It has ended, and is to be evaluated and exported. */
  | { readonly end: PhaseEnd }
  | { readonly result: PhaseResult }
  | { readonly failure: { readonly message: string; readonly type: string; readonly details: unknown[] } };

/** What a run carries over into its next history, beside the recipe. */
export interface RunCarried {
  readonly state: PhaseState;
  readonly planned: RunPlan;
  readonly graph: GraphState;
  readonly stages: readonly (readonly [string, Stage])[];
}

/**
 * How a run begins a new history before its own is full, and loses nothing. Children can't be taken along: the new
 * history would not hear of their end. So nothing new is begun, the run's own activities come to their end, each open
 * phase is asked to end with what it carries over, and becomes a child of the new history with it. That costs a shard
 * that ends early with a checkpoint, once in hundreds.
 */
export class HandOver {
  readonly #stages: Map<string, Stage>;
  /** Phases that are open as children of this history. */
  readonly #open = new Set<string>();
  #busy = 0;
  #full = false;

  constructor(stages: RunCarried['stages'] = []) {
    this.#stages = new Map(stages);
  }

  stageOf(phase: string): Stage | undefined {
    return this.#stages.get(phase);
  }

  /** To be called whenever the history has grown. Histories of before this was written went on to their end. */
  look(): void {
    this.#full ||= workflowInfo().continueAsNewSuggested && patched('hand-over');
  }

  /** Lets through what begins something, until the history is full; then never. */
  async gate(phase: string, stage: Stage): Promise<void> {
    if (!this.#full) return;
    if (!this.#stages.has(phase)) this.#stages.set(phase, stage);
    await condition(() => false);
  }

  /** What is not left half done: the run's own activities on a phase that has ended, and waits. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#busy++;
    try {
      return await work();
    } finally {
      this.#busy--;
    }
  }

  done(phase: string, result: PhaseResult): PhaseResult {
    this.#stages.set(phase, { result });
    return result;
  }

  /** What an open phase goes on with: wishes may have come to it since it was handed over. */
  newest(phase: string, input: PhaseInput): PhaseInput {
    const stage = this.#stages.get(phase);
    return stage && 'input' in stage ? stage.input : input;
  }

  /** A child, from its start to its end. */
  async child<T extends PhaseEnd | HandedOver>(phase: string, workflowId: string, work: () => Promise<T>): Promise<T> {
    this.#stages.delete(phase);
    this.#open.add(phase);
    CancellationScope.current().cancelRequested.catch(() => this.#cancel(phase, workflowId));
    try {
      return await work();
    } finally {
      this.#open.delete(phase);
    }
  }

  /**
   * The library asks the history that a child began with to end, and the server takes that for done when the child has
   * continued as new since: the newest one has to be asked. Runs of before this was written could not be cancelled then.
   */
  async #cancel(phase: string, workflowId: string): Promise<void> {
    if (!this.#open.has(phase) || !patched('cancel-newest')) return;
    // It may have been asked already, or have ended.
    await CancellationScope.nonCancellable(() => getExternalWorkflowHandle(workflowId).cancel()).catch(() => {});
  }

  failed(phase: string, error: unknown): void {
    const root = rootFailure(error);
    const type = isCancellation(error) ? 'Cancelled' : (root?.type ?? 'Unexpected');
    this.#stages.set(phase, { failure: { message: sentence(error), type, details: root?.details ?? [] } });
  }

  /** Passes a wish on, wherever the phase is on its way from one history to the next. Says how that went. */
  async pass(run: string, phase: string, wish: Wish): Promise<string> {
    for (;;) {
      const stage = this.#stages.get(phase);
      if (stage && !('input' in stage)) return `too late: phase ${phase} has ended`;
      if (stage) {
        const { wishes = [] } = stage.input;
        this.#stages.set(phase, { input: { ...stage.input, wishes: [...wishes, wish] } });
        return 'accepted';
      }
      try {
        await getExternalWorkflowHandle(`${run}/${phase}`).signal(wishSignal, wish);
        return 'accepted';
      } catch (error) {
        if (isCancellation(error) || !patched('wish-again')) throw error;
        if (this.#open.has(phase)) {
          // It is about to begin, or its end is about to be told.
          await sleep('1s');
        } else if (!this.#full) return `too late: phase ${phase} has ended`;
        else await condition(() => this.#stages.has(phase));
      }
    }
  }

  /** Settles when everything is ready for a new history; never when the run is cancelled meanwhile. */
  async ready(run: string): Promise<void> {
    try {
      await condition(() => this.#full && this.#busy === 0);
      // One that has just ended needs no signal.
      for (const phase of this.#open)
        await getExternalWorkflowHandle(`${run}/${phase}`)
          .signal(handOverSignal)
          .catch((error) => {
            if (isCancellation(error)) throw error;
          });
      // A phase that fails instead of being handed over is reported on first.
      await condition(() => this.#open.size === 0 && this.#busy === 0 && allHandlersFinished());
    } catch (error) {
      if (!isCancellation(error)) throw error;
      await new Promise(() => {});
    }
  }

  carried(phases: number): RunCarried['stages'] {
    const short = (stage: Stage): Stage =>
      'input' in stage ? { input: { ...stage.input, events: newestLines(stage.input.events ?? [], phases) } } : stage;
    return [...this.#stages].map(([phase, stage]) => [phase, short(stage)]);
  }
}

/** What a phase failed with in a history before. */
export function failureOf({ failure }: Extract<Stage, { failure: unknown }>): Error {
  if (failure.type === 'Cancelled') return new CancelledFailure(failure.message);
  return ApplicationFailure.create({ ...failure, nonRetryable: true });
}
