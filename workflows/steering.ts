import { ApplicationFailure, defineSignal, defineUpdate, setHandler } from '@temporalio/workflow';
import { type Overrides, overridesSchema } from '../src/recipe/overrides.ts';
import { type ReplicasChanges, replicasChangesSchema } from '../src/recipe/replicas.ts';
import { inWords, isObject, type Limits, limitNames, type Wish, type WishKind, wishKinds } from './wishes.ts';

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
  setReplicas: defineUpdate<string, [(Steer & ReplicasChanges)?]>('setReplicas'),
} as const;

export interface Steering {
  /** Why a wish is refused, in one sentence; null when it isn't. Changes nothing. */
  readonly problem: (wish: Wish, phase?: string) => string | null;
  readonly take: (wish: Wish, phase?: string) => string | Promise<string>;
}

/** Answers every update: with a refusal that names the problem, or by taking the wish. */
export function setSteering({ problem, take }: Steering): void {
  for (const kind of wishKinds) {
    const validator = (...given: unknown[]) => {
      const wrong = argumentProblem(kind, given);
      const [argument] = given as [Steer?];
      const message =
        wrong === null ? problem(wishOf(kind, argument as never), argument?.phase) : `${kind} is refused: ${wrong}`;
      if (message !== null) throw ApplicationFailure.create({ message, type: 'Refused', nonRetryable: true });
    };
    const handler = (argument?: Steer) => take(wishOf(kind, argument as never), argument?.phase);
    setHandler(steerUpdates[kind], handler as never, { validator: validator as never });
  }
}

/** How a recipe passes a wish on to its phase. */
export const wishSignal = defineSignal<[Wish]>('wish');

/** Fields that an update's argument may have beside `phase`. */
const fieldsOf: Readonly<Record<WishKind, readonly string[]>> = {
  pause: [],
  resume: [],
  checkpointNow: [],
  abandonPhase: [],
  retryPhase: Object.keys(overridesSchema.shape),
  extend: ['steps'],
  setLimits: limitNames,
  setReplicas: Object.keys(replicasChangesSchema.shape),
};

/** What is wrong with what was typed, whatever the phase is at. What only some updates know is said by `wishProblem`. */
function argumentProblem(kind: WishKind, given: readonly unknown[]): string | null {
  const [argument] = given;
  const fields = ['phase', ...fieldsOf[kind]];
  if (given.length > 1) return `it has ${given.length} inputs; allowed: one, a JSON object of ${fields.join(', ')}`;
  if (argument === undefined) return null;
  if (!isObject(argument))
    return `its input is ${inWords(argument)}; allowed: none, or a JSON object of ${fields.join(', ')}, such as {"phase": "pretrain"}`;
  const { phase, ...rest } = argument;
  if (phase !== undefined && typeof phase !== 'string')
    return `phase is ${inWords(phase)}; allowed: the name of a phase, such as {"phase": "pretrain"}`;
  const unknown = Object.keys(rest).filter((name) => !fields.includes(name));
  if (unknown.length === 0 || kind === 'retryPhase' || kind === 'setLimits' || kind === 'setReplicas') return null;
  return `${unknown.join(', ').slice(0, 200)} is no field of it; allowed: ${fields.join(', ')}`;
}

/** The wish that an update's name and argument make. */
function wishOf(kind: WishKind, { phase: _, ...rest }: Steer & Record<string, unknown> = {}): Wish {
  if (kind === 'retryPhase') return { kind, overrides: rest as Overrides };
  if (kind === 'extend') return { kind, steps: rest.steps as number };
  if (kind === 'setLimits') return { kind, limits: rest as Limits };
  if (kind === 'setReplicas') return { kind, replicas: rest as ReplicasChanges };
  return { kind };
}
