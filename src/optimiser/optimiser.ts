import type { Tensor } from '@tensorflow/tfjs';
import type { Tensors } from '../compile/definition.ts';
import type { ParameterSpec } from '../model/parameters.ts';
import type { OptimizerSettings } from '../recipe/schema.ts';
import { rateMultiplier } from '../recipe/trained.ts';
import { tf } from '../runtime/tensorflow.ts';

/** What changes from step to step, computed in double precision on the host: pure functions of the step. */
export interface StepScalars<T> extends Corrections<T> {
  /** The schedule's factor, 0 to 1. */
  readonly schedule: T;
}

/** Of the bias of moments that see their update t: 1 / (1 - beta1^t) and 1 / (1 - beta2^t), t counted from 1. */
export interface Corrections<T> {
  readonly correction1: T;
  readonly correction2: T;
}

export interface OptimiserResult {
  /** New parameters and moments, keyed as in the state: `name`, `m/name`, `v/name`. */
  readonly state: Readonly<Record<string, Tensor>>;
  /** Global norm of the gradient before clipping, a scalar. */
  readonly gradientNorm: Tensor;
}

export const firstMoment = (name: string) => `m/${name}`;
export const secondMoment = (name: string) => `v/${name}`;
export const isMoment = (key: string) => [firstMoment(''), secondMoment('')].some((prefix) => key.startsWith(prefix));
/** What a parameter was when the pull towards it began. */
export const startCopy = (name: string) => `start/${name}`;

/**
 * One update as big_vision chains it (`optax.py` make): clip by the global norm, Adam, times the learning rate,
 * plus weight decay on kernels, times the schedule's factor: p -= schedule (lr adam + wd p). Weight decay is not
 * scaled by the learning rate. Multipliers scale the learning rate of single parameters; the share of a parameter scales
 * the whole of its update, decay included. Where the state has what a parameter was at the start, it is pulled to it as decay
 * pulls to zero: + startDecay (p - start), decoupled, as weights are held in L2-SP (arXiv 1802.01483).
 *
 * @param corrected corrections of parameters whose moments have seen fewer updates, by name
 */
export function optimiserStep(
  specs: readonly ParameterSpec[],
  settings: OptimizerSettings,
  state: Tensors,
  gradients: Tensors,
  scalars: StepScalars<Tensor>,
  corrected: ReadonlyMap<string, Corrections<Tensor>> = new Map(),
): OptimiserResult {
  // Rows first: they are added in vectors (`passes/vector-loops.ts`).
  const squares = specs.map(({ name }) => gradients[name]!.square().sum(-1).sum());
  // Not AddN: the order in which it adds depends on which input's memory happens to be free first.
  const gradientNorm = tf.stack(squares).sum().sqrt() as Tensor;
  const clip = tf.scalar(settings.clipNorm).div(gradientNorm.maximum(settings.clipNorm)) as Tensor;
  const { beta1, beta2 } = settings;
  const next: Record<string, Tensor> = {};
  for (const spec of specs) {
    const { name } = spec;
    const parameter = state[name]!;
    const gradient = gradients[name]!.mul(clip);
    const m = state[firstMoment(name)]!.mul(beta1).add(gradient.mul(1 - beta1)) as Tensor;
    const v = state[secondMoment(name)]!.mul(beta2).add(gradient.square().mul(1 - beta2)) as Tensor;
    const own = { ...scalars, ...corrected.get(name) };
    const start = settings.startDecay === undefined ? undefined : state[startCopy(name)];
    next[name] = parameter.sub(updateOf(spec, settings, parameter, { m, v, start }, own)) as Tensor;
    next[firstMoment(name)] = m;
    next[secondMoment(name)] = v;
  }
  return { state: next, gradientNorm };
}

/** What is taken off a parameter as it was before the step, by the moments as they are after it. */
function updateOf(
  { name, decay, share = 1 }: ParameterSpec,
  { learningRate, weightDecay, startDecay = 0, multipliers, epsilon }: OptimizerSettings,
  parameter: Tensor,
  { m, v, start }: { readonly m: Tensor; readonly v: Tensor; readonly start: Tensor | undefined },
  { schedule, correction1, correction2 }: StepScalars<Tensor>,
): Tensor {
  const adam = m.mul(correction1).div(v.mul(correction2).sqrt().add(epsilon));
  const step = adam.mul(share * learningRate * rateMultiplier({ multipliers }, name));
  const decayed = decay && weightDecay > 0 ? step.add(parameter.mul(share * weightDecay)) : step;
  const pulled = start ? decayed.add(parameter.sub(start).mul(share * startDecay)) : decayed;
  return pulled.mul(schedule);
}

/**
 * What the last step took off a parameter, told from the state after it: with q = p - u and u = s (lr adam + wd p) it is
 * s (lr adam + wd q) / (1 - s wd), so that nothing has to be kept of before. The pull to the start is one more decay.
 */
export function lastUpdateOf(
  spec: ParameterSpec,
  settings: OptimizerSettings,
  state: Tensors,
  scalars: StepScalars<Tensor>,
): Tensor {
  const { name, decay, share = 1 } = spec;
  const { weightDecay, startDecay } = settings;
  const start = startDecay === undefined ? undefined : state[startCopy(name)];
  const [m, v] = [state[firstMoment(name)]!, state[secondMoment(name)]!];
  const update = updateOf(spec, settings, state[name]!, { m, v, start }, scalars);
  const pull = (decay ? weightDecay : 0) + (start ? startDecay! : 0);
  return pull === 0 ? update : update.div(tf.scalar(1).sub(scalars.schedule.mul(share * pull)));
}

/** The scalars of step t (1 for the first) at this schedule factor. */
export function stepScalars(settings: OptimizerSettings, step: number, schedule: number): StepScalars<number> {
  return { schedule, ...corrections(settings, step) };
}

/** Of the update t of some moments, 1 for the first. */
export function corrections({ beta1, beta2 }: OptimizerSettings, t: number): Corrections<number> {
  return { correction1: 1 / (1 - beta1 ** t), correction2: 1 / (1 - beta2 ** t) };
}
