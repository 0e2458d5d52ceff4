import { type Changeable, type Overrides, overridesProblem } from '../src/recipe/overrides.ts';
import { type Replicas, type ReplicasChanges, replicasChangesProblem } from '../src/recipe/replicas.ts';
import type { PhaseState } from './messages.ts';

/** Where a phase is to stop with a checkpoint, and wait. */
export interface Limits {
  readonly step?: number | undefined;
  /** Hours that its shards may have a device for, from its start. */
  readonly deviceHours?: number | undefined;
  /** Hours by the clock from the start of the phase, pauses and outages included. */
  readonly wallHours?: number | undefined;
  /** Money that its training and scoring may cost, in whatever the prices of its workers are. */
  readonly cost?: number | undefined;
}

export const limitNames = ['step', 'deviceHours', 'wallHours', 'cost'] as const;

/** What a person asks of a phase. */
export type Wish =
  | { readonly kind: 'pause' }
  | { readonly kind: 'resume' }
  | { readonly kind: 'checkpointNow' }
  | { readonly kind: 'abandonPhase' }
  | { readonly kind: 'retryPhase'; readonly overrides: Overrides }
  | { readonly kind: 'extend'; readonly steps: number }
  | { readonly kind: 'setLimits'; readonly limits: Limits }
  | { readonly kind: 'setReplicas'; readonly replicas: ReplicasChanges };
export type WishKind = Wish['kind'];

/** When each wish makes sense. A paused phase may be tried again with other settings. */
const fits: Readonly<Record<WishKind, readonly PhaseState[]>> = {
  pause: ['scoring', 'training', 'recovering'],
  resume: ['paused', 'limit'],
  checkpointNow: ['training'],
  abandonPhase: ['scoring', 'training', 'recovering', 'paused', 'limit', 'waiting'],
  retryPhase: ['waiting', 'paused', 'limit'],
  extend: ['training', 'paused', 'limit'],
  setLimits: ['scoring', 'training', 'recovering', 'paused', 'limit', 'waiting'],
  setReplicas: ['scoring', 'training', 'recovering', 'paused', 'limit', 'waiting'],
};
export const wishKinds = Object.keys(fits) as WishKind[];

/** Where a phase stands when something is asked of it. */
export interface Standing extends Changeable {
  readonly phase: string;
  readonly state: PhaseState;
  /** The steps that it begins and ends with. */
  readonly from: number;
  readonly total: number;
  /** Absent: it is not trained in rounds. */
  readonly replicas?: Replicas | undefined;
  /** Milliseconds that it has had a device for, and by the clock; absent where that is not known. */
  readonly deviceMs?: number | undefined;
  readonly wallMs?: number | undefined;
  /** What it has cost, as far as limits go; likewise. */
  readonly cost?: number | undefined;
  /** True where what was asked for before it had bounds is granted still. */
  readonly unbounded?: boolean;
}

const hour = 3_600_000;

/** A phase may be made so many times as long at once, and a short one this many steps longer. */
const mostTimesLonger = 10;
const mostStepsOfShort = 10_000;

/** That an update names a phase which is not among the open ones; what is typed may be of any kind and length. */
export const notOpen = (kind: WishKind, named: unknown, open: string): string =>
  `${kind} is refused: no open phase is named ${String(named).slice(0, 60)}; open: ${open}`;

/** Why a wish can't be granted to a phase in this state, in one sentence; null when it can. */
export function wishProblem(wish: Wish, standing: Standing): string | null {
  const { kind } = wish;
  const { phase, state } = standing;
  if (kind === 'setReplicas' && !standing.replicas)
    return `setReplicas is refused: phase ${phase} is not trained in rounds; its recipe has no "replicas"`;
  if (!fits[kind].includes(state)) {
    const possible = wishKinds.filter(
      (other) => fits[other].includes(state) && (other !== 'setReplicas' || standing.replicas),
    );
    const now =
      possible.length > 0 ? `what goes on now: ${possible.join(', ')}` : 'nothing can be asked of it any more';
    return `${kind} is refused: phase ${phase} is ${state}; ${now}`;
  }
  const problem = detailProblem(wish, standing);
  return problem === null ? null : `${kind} is refused: ${problem}`;
}

function detailProblem(wish: Wish, standing: Standing): string | null {
  if (wish.kind === 'retryPhase') return overridesProblem(wish.overrides, standing);
  if (wish.kind === 'setLimits') return limitsProblem(wish.limits, standing);
  if (wish.kind === 'extend') return extensionProblem(wish.steps, standing);
  if (wish.kind === 'setReplicas') return replicasChangesProblem(wish.replicas, standing.replicas!);
  return null;
}

function extensionProblem(steps: unknown, { phase, from, total, unbounded = false }: Standing): string | null {
  if (typeof steps !== 'number' || !(steps > 0) || (steps < 1e15 && !Number.isInteger(steps)))
    return `steps is ${inWords(steps)}; allowed: a whole number above 0, of steps to add, {"steps": 1000}`;
  const most = Math.max(mostStepsOfShort, mostTimesLonger * (total - from));
  if (unbounded || (steps <= most && Number.isSafeInteger(total + steps))) return null;
  return `steps is ${steps}; allowed: at most ${most} at once, for phase ${phase} has ${total - from} now`;
}

function limitsProblem(
  limits: Limits,
  { phase, step, deviceMs, wallMs, cost, unbounded = false }: Standing,
): string | null {
  const known = `allowed: ${limitNames.join(', ')}`;
  if (Object.keys(limits).length === 0 && !unbounded) return `no limit is named; ${known}, such as {"step": 5000}`;
  for (const [name, value] of Object.entries(limits)) {
    if (!limitNames.some((one) => one === name)) return `${name} is no limit; ${known}`;
    if (value === null) continue;
    const right = typeof value === 'number' && value > 0 && (name !== 'step' || Number.isSafeInteger(value));
    if (!right) return `${name} is ${inWords(value)}; allowed: a number above 0${name === 'step' ? ', whole' : ''}`;
    const past = { step, deviceHours: hours(deviceMs), wallHours: hours(wallMs), cost: rounded(cost) }[
      name as keyof Limits
    ];
    if (past !== undefined && value <= past && !unbounded)
      return `${name} is ${value}, and phase ${phase} has come to ${past}; allowed: more than that, or pause to stop it now`;
  }
  return null;
}

const rounded = (value: number | undefined) => (value === undefined ? undefined : Number(value.toPrecision(4)));
const hours = (ms: number | undefined) => rounded(ms === undefined ? undefined : ms / hour);

/** A value that a person typed, as far as a sentence has room for it. */
export function inWords(value: unknown): string {
  const text = JSON.stringify(value) ?? 'missing';
  return text.length <= 120 ? text : `${text.slice(0, 120)}...`;
}

export const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);

/** What makes something that came by a signal no wish at all, in one sentence; null when it is one. */
export function shapeProblem(wish: unknown): string | null {
  if (!isObject(wish)) return `a wish is ${inWords(wish)}; allowed: an object with a kind`;
  if (!wishKinds.some((kind) => kind === wish.kind))
    return `a wish has the kind ${inWords(wish.kind)}; allowed: ${wishKinds.join(', ')}`;
  if (wish.kind === 'setLimits' && !isObject(wish.limits))
    return `limits is ${inWords(wish.limits)}; allowed: an object`;
  if (wish.kind === 'setReplicas' && !isObject(wish.replicas))
    return `replicas is ${inWords(wish.replicas)}; allowed: an object`;
  if (wish.kind === 'retryPhase' && !isObject(wish.overrides))
    return `overrides is ${inWords(wish.overrides)}; allowed: an object`;
  return null;
}

/** What was asked for beside the kind, for people: ` {"learningRate":0.0001}`. */
export function detailsOf(wish: Wish): string {
  const details = askedWith(wish);
  return Object.keys(details).length === 0 ? '' : ` ${inWords(details)}`;
}

function askedWith(wish: Wish): object {
  if (wish.kind === 'retryPhase') return wish.overrides;
  if (wish.kind === 'setLimits') return wish.limits;
  if (wish.kind === 'setReplicas') return wish.replicas;
  return wish.kind === 'extend' ? { steps: wish.steps } : {};
}
