import { condition } from '@temporalio/workflow';
import type { PhasePlan, ShardResult } from '../activities/types.ts';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import type { PhaseReport } from './messages.ts';

/** The phases of a run as they stand: what has been reported, and the checkpoints at which others branch off. */
export class PhaseGraph {
  readonly #reports = new Map<string, PhaseReport>();
  /** By phase and step. */
  readonly #checkpoints = new Map<string, CheckpointRef>();
  /** Phases that have ended without what others wait for. */
  readonly #ended = new Set<string>();

  readonly plans: readonly PhasePlan[];

  constructor(plans: readonly PhasePlan[] = []) {
    this.plans = plans;
  }

  /** In the order of the recipe; phases that have not begun have none. */
  get reports(): PhaseReport[] {
    return this.plans.flatMap(({ phase }) => this.#reports.get(phase) ?? []);
  }

  /** What a phase tells of itself. Each of its shards ends with a report, so no branch point goes by unseen. */
  record(report: PhaseReport): void {
    this.#reports.set(report.phase, report);
    if (report.last) this.#checkpoints.set(`${report.phase}@${report.last.checkpoint.step}`, report.last.checkpoint);
  }

  ended(phase: string, last: ShardResult | null): void {
    if (last) this.#checkpoints.set(`${phase}@${last.checkpoint.step}`, last.checkpoint);
    this.#ended.add(phase);
  }

  /** The checkpoint that a phase goes on from, once it is there; null when the phase before ended without it. */
  async originOf({ origin, from }: PhasePlan): Promise<{ readonly parent: CheckpointRef | null } | null> {
    // Plans in the histories of older versions have none.
    if (!origin) return { parent: null };
    if ('checkpoint' in origin) return { parent: origin.checkpoint };
    const wanted = `${origin.phase}@${from.step}`;
    await condition(() => this.#checkpoints.has(wanted) || this.#ended.has(origin.phase));
    const parent = this.#checkpoints.get(wanted);
    return parent ? { parent } : null;
  }
}
