import { ApplicationFailure, defineSignal, defineUpdate, setHandler } from '@temporalio/workflow';
import { type Changeable, type Overrides, overridesProblem } from '../src/recipe/overrides.ts';
import type { PhaseState } from './messages.ts';

/** Where a phase is to stop with a checkpoint, and wait. */
export interface Limits {
  readonly step?: number | undefined;
  /** Hours that its shards may have a device for, from its start. */
  readonly deviceHours?: number | undefined;
  /** Hours by the clock from the start of the phase, pauses and outages included. */
  readonly wallHours?: number | undefined;
}

const limitNames = ['step', 'deviceHours', 'wallHours'];

/** What a person asks of a phase. */
export type Wish =
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | { readonly kind: 'checkpointNow' }
  | { readonly kind: 'abandonPhase' }
  | { readonly kind: 'retryPhase'; readonly overrides: Overrides }
  | { readonly kind: 'extend'; readonly steps: number }
  | { readonly kind: 'setLimits'; readonly limits: Limits };
type WishKind = Wish['kind'];

/** The argument of every update; a phase's own workflow needs no name of a phase. */
export interface Steer {
  /** Needed when more than one phase of the run is open. */
  readonly phase?: string;
}

const steerUpdates = {
  pause: defineUpdate<string, [Steer?]>('pause'),
  resume: defineUpdate<string, [Steer?]>('resume'),
  checkpointNow: defineUpdate<string, [Steer?]>('checkpointNow'),
  abandonPhase: defineUpdate<string, [Steer?]>('abandonPhase'),
  retryPhase: defineUpdate<string, [(Steer & Overrides)?]>('retryPhase'),
  extend: defineUpdate<string, [(Steer & { readonly steps?: number })?]>('extend'),
  setLimits: defineUpdate<string, [(Steer & Limits)?]>('setLimits'),
} as const;
const kinds = Object.keys(steerUpdates) as WishKind[];

export interface Steering {
  /** Why a wish is refused, in one sentence; null when it isn't. Changes nothing. */
  readonly problem: (wish: Wish, phase?: string) => string | null;
  readonly take: (wish: Wish, phase?: string) => string | Promise<string>;
}

/** Answers every update: with a refusal that names the problem, or by taking the wish. */
export function setSteering({ problem, take }: Steering): void {
  for (const kind of kinds) {
    const validator = (argument?: Steer) => {
      const message = problem(wishOf(kind, argument as never), argument?.phase);
      if (message !== null) throw ApplicationFailure.create({ message, type: 'Refused', nonRetryable: true });
    };
    const handler = (argument?: Steer) => take(wishOf(kind, argument as never), argument?.phase);
    setHandler(steerUpdates[kind], handler as never, { validator: validator as never });
  }
}

/** How a recipe passes a wish on to its phase. */
export const wishSignal = defineSignal<[Wish]>('wish');

/** The wish that an update's name and argument make. */
function wishOf(kind: WishKind, { phase: _, ...rest }: Steer & Record<string, unknown> = {}): Wish {
  if (kind === 'retryPhase') return { kind, overrides: rest as Overrides };
  if (kind === 'extend') return { kind, steps: rest.steps as number };
  if (kind === 'setLimits') return { kind, limits: rest as Limits };
  return { kind };
}

/** When each wish makes sense. A paused phase may be tried again with other settings. */
const fits: Readonly<Record<WishKind, readonly PhaseState[]>> = {
  pause: ['scoring', 'training', 'recovering'],
  resume: ['paused', 'limit'],
  checkpointNow: ['training'],
  abandonPhase: ['scoring', 'training', 'recovering', 'paused', 'limit', 'waiting'],
  retryPhase: ['waiting', 'paused', 'limit'],
  extend: ['training', 'paused', 'limit'],
  setLimits: ['scoring', 'training', 'recovering', 'paused', 'limit', 'waiting'],
};

/** Where a phase stands when something is asked of it. */
export interface Standing extends Changeable {
  readonly phase: string;
  readonly state: PhaseState;
}

/** Why a wish can't be granted to a phase in this state, in one sentence; null when it can. */
export function wishProblem(wish: Wish, standing: Standing): string | null {
  const { kind } = wish;
  const { phase, state } = standing;
  if (!fits[kind].includes(state)) {
    const possible = kinds.filter((other) => fits[other].includes(state));
    const now =
      possible.length > 0 ? `what goes on now: ${possible.join(', ')}` : 'nothing can be asked of it any more';
    return `${kind} is refused: phase ${phase} is ${state}; ${now}`;
  }
  const problem =
    kind === 'retryPhase'
      ? overridesProblem(wish.overrides, standing)
      : kind === 'setLimits'
        ? limitsProblem(wish.limits)
        : kind === 'extend'
          ? extensionProblem(wish.steps)
          : null;
  return problem === null ? null : `${kind} is refused: ${problem}`;
}

function extensionProblem(steps: unknown): string | null {
  if (Number.isInteger(steps) && (steps as number) > 0) return null;
  return `steps is ${JSON.stringify(steps)}; allowed: a whole number above 0, of steps to add, {"steps": 1000}`;
}

function limitsProblem(limits: Limits): string | null {
  for (const [name, value] of Object.entries(limits)) {
    if (!limitNames.includes(name)) return `${name} is no limit; allowed: ${limitNames.join(', ')}`;
    if (value === null) continue;
    const right = name === 'step' ? Number.isInteger(value) && value > 0 : typeof value === 'number' && value > 0;
    if (!right)
      return `${name} is ${JSON.stringify(value)}; allowed: a number above 0${name === 'step' ? ', whole' : ''}`;
  }
  return null;
}
