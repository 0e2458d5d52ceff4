import type { Tensor } from '@tensorflow/tfjs';
import type { Signature, TensorSpec, Tensors } from '../compile/definition.ts';
import { l2Normalise } from '../compile/ops/l2-normalise.ts';
import { pulled } from '../compile/ops/pulled.ts';
import { isMeant } from '../model/parameter-parts.ts';
import { embeddingWidth } from '../model/sizes.ts';
import type { Features } from '../objectives/objective.ts';
import { differentiate } from '../optimiser/differentiate.ts';
import { optimiserStep } from '../optimiser/optimiser.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { tf } from '../runtime/tensorflow.ts';
import { keptGroup } from './kept-features.ts';
import { type ExampleShape, exampleFeeds, imageFeeds, keepsFeatures, lazyFeatures, lossesOf, sumOf } from './losses.ts';
import { computedState, emaCopy, emaSteps, type PhaseState, teacherCopy } from './phase-state.ts';
import { onlyPooled } from './pooled.ts';
import { correctionFeeds, noUpdates, ownCorrections, type Updates, updatedParameters } from './updates.ts';

/**
 * The parts of a training step as TF.js functions of state and feeds: what is compiled, and what a test can run
 * eagerly. With one micro-batch a step is `step`. With more, `embed` runs for each, `contrast` once for the whole
 * batch, `backward` for each again, and `update`: no more than one micro-batch of activations exists at a time, and
 * the gradient is that of the whole batch, since whole-batch losses see the batch only through its embeddings, and all
 * others are means over examples. Without a whole-batch objective `embed` and `contrast` are left out.
 */

/** Sum over the micro-batches so far, of gradients and of computed state; zero between steps, not in checkpoints. */
export const microSum = (name: string) => `g/${name}`;

const scalar: TensorSpec = { shape: [], dtype: 'float32' };
const scalars = { schedule: scalar, correction1: scalar, correction2: scalar };

export const optimiserFeeds = (phase: PhaseState, updates: Updates) => ({
  ...scalars,
  ...correctionFeeds(phase, updates),
});

/** A whole step on a whole batch. */
export function stepSignature(
  settings: PhaseSettings,
  phase: PhaseState,
  shape: ExampleShape = { count: settings.batches.batch, length: null },
  updates: Updates = noUpdates,
): Signature {
  const names = differentiated(phase);
  return {
    feeds: { ...exampleFeeds(settings, phase, shape), ...optimiserFeeds(phase, updates) },
    run(state, feeds) {
      let reported: readonly string[] = [];
      const { value, gradients, aside, read } = differentiate(names, state, (p) => {
        const features = lazyFeatures(settings, phase, p, state, feeds);
        const losses = lossesOf(settings, phase, phase.objectives, { p, state, feeds, features });
        const told = { ...losses.reported, ...losses.rows };
        reported = Object.keys(told);
        return { value: losses.total, aside: { ...told, ...losses.state } };
      });
      requireRead(phase, names, read);
      const { outputs, rest } = split(aside, reported);
      const update = updated(settings, phase, updates, state, gradients, feeds);
      return {
        outputs: { loss: value, ...outputs, gradientNorm: update.gradientNorm },
        state: { ...update.state, ...rest },
      };
    },
  };
}

/** What gradients are asked for: nothing is computed for what is frozen, nor below the lowest that is not. */
const differentiated = ({ parameters, frozen }: PhaseState): string[] =>
  parameters.map(({ name }) => name).filter((name) => !frozen.has(name));

/** The embeddings of candidates as the learner has them now, l2-normalised, with its logit_scale and logit_bias. */
export function candidatesSignature(settings: PhaseSettings, phase: PhaseState, count: number): Signature {
  const { textLength } = settings.batches;
  return {
    feeds: { ...imageFeeds(settings, count, null), tokens: { shape: [count, textLength], dtype: 'int32' } },
    run(state, feeds) {
      const { image, text } = lazyFeatures(settings, phase, state, state, feeds);
      const [images, texts] = [l2Normalise(image.pooled), l2Normalise(text.pooled)];
      // An output is something that was computed.
      return { outputs: { images, texts, logitScale: state.logit_scale!.mul(1), logitBias: state.logit_bias!.mul(1) } };
    },
  };
}

/** The embeddings of some pictures, not normalised, by a tower that is frozen: see `KeptFeatures`. */
export function picturesSignature(settings: PhaseSettings, phase: PhaseState): Signature {
  return {
    feeds: imageFeeds(settings, keptGroup(settings), null),
    run(state, feeds) {
      return { outputs: { features: lazyFeatures(settings, phase, state, state, feeds).image.pooled } };
    },
  };
}

/** The same step in parts. */
export function accumulatedSignatures(
  settings: PhaseSettings,
  phase: PhaseState,
  { count: batch, length }: ExampleShape,
  updates: Updates = noUpdates,
): Record<string, Signature> {
  const { accumulate } = settings;
  const micro = batch / accumulate;
  const keeps = keepsFeatures(settings);
  const all = exampleFeeds(settings, phase, { count: micro, length });
  const width = embeddingWidth(settings.model);
  const rows = (count: number): TensorSpec => ({ shape: [count, width], dtype: 'float32' });
  const whole = phase.objectives.filter(({ objective }) => objective.wholeBatch !== undefined);
  const perExample = phase.objectives.filter(({ objective }) => objective.wholeBatch === undefined);
  // Embeddings that are fed have met the texts of the batch in `contrast`, and nothing goes back to them.
  const { imageFeatures: _, ...toTexts } = all;
  const examples = perExample.length > 0 ? all : toTexts;
  const asked = differentiated(phase);
  const head = whole.flatMap(({ objective }) => objective.wholeBatch!);
  const trainedHead = head.filter((name) => asked.includes(name));
  const updating = updatedParameters(phase, updates).map(({ name }) => name);
  // What a mean over examples reads of the head adds up behind the whole batch's.
  const isApart = (name: string) => head.includes(name) && !perExample.some(({ objective }) => objective.readsHead);
  const trained = asked.filter((name) => !isApart(name));
  // A tower that is frozen is not computed a second time.
  const reaches = { images: trained.some(isMeantBy('vision')), texts: trained.some(isMeantBy('text')) };

  const contrast: Record<string, Signature> = {
    embed: {
      feeds: { ...(!keeps && imageFeeds(settings, micro, length)), tokens: examples.tokens! },
      run(state, feeds) {
        const features = lazyFeatures(settings, phase, state, state, feeds);
        if (keeps) return { outputs: { texts: features.text.pooled } };
        return { outputs: { images: features.image.pooled, texts: features.text.pooled } };
      },
    },
    contrast: {
      feeds: { images: rows(batch), texts: rows(batch), ...wholeFeeds(settings, phase, { count: batch, length }) },
      run(state, feeds) {
        const at: Record<string, Tensor> = { images: feeds.images!, texts: feeds.texts! };
        for (const name of head) at[name] = state[name]!;
        const { value, gradients, aside } = differentiate(['images', 'texts', ...trainedHead], at, (p) => {
          const features = pooledAlone(p.images!, p.texts!);
          const { total, reported, rows } = lossesOf(settings, phase, whole, { p, state, feeds, features });
          return { value: total, aside: { ...reported, ...rows } };
        });
        return {
          outputs: { loss: value, ...aside, images: gradients.images!, texts: gradients.texts! },
          state: Object.fromEntries(trainedHead.map((name) => [microSum(name), gradients[name]!])),
        };
      },
    },
  };
  const backward: Signature = {
    feeds: { ...examples, ...(whole.length > 0 && { dImages: rows(micro), dTexts: rows(micro) }) },
    run(state, feeds) {
      let reported: readonly string[] = [];
      const { value, gradients, aside, read } = differentiate(trained, state, (p) => {
        const features = lazyFeatures(settings, phase, p, state, feeds);
        const terms: Tensor[] = [];
        if (whole.length > 0) {
          // Its gradient is the chain rule: d loss / d z, times d z / d parameters.
          if (reaches.images) terms.push(pulled(features.image.pooled, feeds.dImages!));
          if (reaches.texts) terms.push(pulled(features.text.pooled, feeds.dTexts!));
        }
        if (perExample.length === 0) return { value: sumOf(terms), aside: {} };
        const losses = lossesOf(settings, phase, perExample, { p, state, feeds, features });
        reported = Object.keys(losses.reported);
        terms.push(losses.total.div(accumulate));
        return { value: sumOf(terms), aside: { ...losses.reported, ...losses.state } };
      });
      requireRead(phase, trained, read);
      const { outputs, rest } = split(aside, reported);
      const sums: [string, Tensor][] = updating
        .filter((name) => !isApart(name))
        .map((name) => [microSum(name), state[microSum(name)]!.add(gradients[name]!)]);
      for (const [key, moved] of Object.entries(rest)) {
        sums.push([microSum(key), state[microSum(key)]!.add(moved.div(accumulate))]);
      }
      return { outputs: { value, ...outputs }, state: Object.fromEntries(sums) };
    },
  };
  const update: Signature = {
    feeds: optimiserFeeds(phase, updates),
    run(state, feeds) {
      const sum = (name: string) => [name, state[microSum(name)]!] as const;
      const gradients = Object.fromEntries(updating.map(sum));
      const { gradientNorm, state: next } = updated(settings, phase, updates, state, gradients, feeds);
      const computed = Object.fromEntries(movedBySteps(phase).map(({ name }) => sum(computedState(name))));
      // tf.zeros would be constants of the graph, as large as all parameters.
      const zeros = microSums(phase, updates).map(({ name, shape }) => [name, tf.fill(shape as number[], 0)]);
      return { outputs: { gradientNorm }, state: { ...next, ...computed, ...Object.fromEntries(zeros) } };
    },
  };
  return { ...(whole.length > 0 && contrast), ...(trained.length > 0 && { backward }), update };
}

const isMeantBy = (tower: 'vision' | 'text') => (name: string) => isMeant(tower, name);

/** The arrays that losses of a whole batch need of all of its examples. */
export function wholeFeeds(
  settings: PhaseSettings,
  phase: PhaseState,
  shape: ExampleShape,
): Record<string, TensorSpec> {
  const names = phase.objectives.flatMap(({ objective, settings }) => objective.wholeFeeds?.(settings) ?? []);
  const all = exampleFeeds(settings, phase, shape);
  return Object.fromEntries(names.map((name) => [name, all[name]!]));
}

/** Computed state, but for what slots write between rounds. */
const movedBySteps = ({ computed }: PhaseState) => computed.filter(({ bySlot }) => !bySlot);

/** What is summed over micro-batches. */
export function microSums(
  phase: PhaseState,
  updates: Updates = noUpdates,
): { name: string; shape: readonly number[] }[] {
  return [
    ...updatedParameters(phase, updates).map(({ name, shape }) => ({ name: microSum(name), shape })),
    ...movedBySteps(phase).map(({ name, shape }) => ({ name: microSum(computedState(name)), shape })),
  ];
}

/** The optimiser's step, then the teacher's: teacher <- m teacher + (1 - m) student; and that of the averages. */
function updated(
  settings: PhaseSettings,
  phase: PhaseState,
  updates: Updates,
  state: Tensors,
  gradients: Tensors,
  feeds: Tensors,
) {
  const { schedule, correction1, correction2 } = feeds as Record<keyof typeof scalars, Tensor>;
  const common = { schedule, correction1, correction2 };
  const specs = updatedParameters(phase, updates);
  const own = ownCorrections(phase, updates, feeds);
  const update = optimiserStep(specs, settings.optimizer, state, gradients, common, own);
  const { momentum } = settings.teacher;
  const teacher = phase.taught.map(({ name }) => {
    const copy = teacherCopy(name);
    const student = update.state[name] ?? state[name]!;
    return [copy, state[copy]!.mul(momentum).add(student.mul(1 - momentum))];
  });
  const averages = averagesAfter(settings, phase, state, update.state);
  return { gradientNorm: update.gradientNorm, state: { ...update.state, ...Object.fromEntries(teacher), ...averages } };
}

/**
 * average <- average + (1 - d) (parameter - average), as torch's lerp has it: what does not move stays to the bit. With a
 * warm-up d is min(decay, (1 + t) / (10 + t)) at step t of the average, 1 for the first, as TensorFlow's
 * `ExponentialMovingAverage` has it.
 */
function averagesAfter(
  { ema }: PhaseSettings,
  { averaged }: PhaseState,
  state: Tensors,
  updated: Tensors,
): Record<string, Tensor> {
  if (!ema) return {};
  const steps = ema.warmup ? state[emaSteps]!.add(1) : null;
  const share = steps
    ? tf
        .scalar(9)
        .div(steps.add(10))
        .maximum(1 - ema.decay)
    : tf.scalar(1 - ema.decay);
  const averages = averaged.map(({ name }): [string, Tensor] => {
    const before = state[emaCopy(name)]!;
    return [emaCopy(name), before.add((updated[name] ?? state[name]!).sub(before).mul(share)) as Tensor];
  });
  return { ...Object.fromEntries(averages), ...(steps && { [emaSteps]: steps as Tensor }) };
}

/** What the objectives say that they read decides what is trained, so it has to be what was read. */
function requireRead({ read }: PhaseState, names: readonly string[], found: ReadonlySet<string>): void {
  const wrong = names.find((name) => read.has(name) !== found.has(name));
  if (wrong === undefined) return;
  throw new Error(
    `${wrong} is ${found.has(wrong) ? 'read, though no objective says' : 'not read, though one says'} so`,
  );
}

/** Features where only the pooled ones of a whole batch are at hand. */
function pooledAlone(images: Tensor, texts: Tensor): Features {
  const refuse = (): never => {
    throw new Error('a whole-batch objective reads pooled features alone');
  };
  return {
    image: onlyPooled(images),
    text: onlyPooled(texts),
    get negatives() {
      return refuse();
    },
    get teacherGlobal() {
      return refuse();
    },
  };
}

function split(tensors: Tensors, reported: readonly string[]): { outputs: Tensors; rest: Tensors } {
  const part = (wanted: boolean) =>
    Object.fromEntries(Object.entries(tensors).filter(([key]) => reported.includes(key) === wanted));
  return { outputs: part(true), rest: part(false) };
}
