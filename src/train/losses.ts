import type { Tensor } from '@tensorflow/tfjs';
import type { TensorSpec, Tensors } from '../compile/definition.ts';
import { adaptedLayers, adapterB, adapterScale } from '../model/adapters.ts';
import { naflexTower, normalisePatches } from '../model/naflex-tower.ts';
import { embeddingWidth } from '../model/sizes.ts';
import { textTower } from '../model/text-tower.ts';
import { normalisePixels, type VisionOutput, visionTower } from '../model/vision-tower.ts';
import type { Sayings } from '../objectives/distillation.ts';
import type { Features } from '../objectives/objective.ts';
import type { ActiveObjective } from '../objectives/registry.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { computedState, type PhaseState, teacherCopy } from './phase-state.ts';
import { onlyPooled } from './pooled.ts';

/** What a step reports of one objective. */
export const lossOf = (objective: string) => `loss/${objective}`;

/** How many examples, and of how many patches each image; null for squares. */
export interface ExampleShape {
  readonly count: number;
  readonly length: number | null;
}

/** The arrays of some examples that the objectives of a phase need. */
export function exampleFeeds(
  settings: PhaseSettings,
  phase: PhaseState,
  { count, length }: ExampleShape,
): Record<string, TensorSpec> {
  const { textLength } = settings.batches;
  const own = phase.objectives.map(({ objective, settings: of }) => objective.feeds(of, settings.model, count));
  const images = keepsFeatures(settings)
    ? { imageFeatures: { shape: [count, embeddingWidth(settings.model)], dtype: 'float32' as const } }
    : imageFeeds(settings, count, length);
  return Object.assign({ ...images, tokens: { shape: [count, textLength], dtype: 'int32' } }, ...own);
}

/** Whether a step is fed the embeddings of its pictures, which `KeptFeatures` has, and has no image tower. */
export const keepsFeatures = ({ frozenFeatures }: PhaseSettings) => frozenFeatures === 'kept';

/** The arrays of the images alone. */
export function imageFeeds({ model }: PhaseSettings, count: number, length: number | null): Record<string, TensorSpec> {
  const { resolution, patch } = model.vision;
  if (length === null) return { images: { shape: [count, resolution, resolution, 3], dtype: 'uint8' } };
  return {
    images: { shape: [count, length, 3 * patch ** 2], dtype: 'uint8' },
    patchMask: { shape: [count, length], dtype: 'float32' },
    spatialShapes: { shape: [count, 2], dtype: 'int32' },
  };
}

/** The teacher's parameters, named as the student's. */
const teacherOf = (phase: PhaseState, state: Tensors): Tensors =>
  Object.fromEntries(phase.taught.map(({ name }) => [name, state[teacherCopy(name)]!]));

/** What objectives have computed, by its name. */
const computedOf = (phase: PhaseState, state: Tensors): Tensors =>
  Object.fromEntries(phase.computed.map(({ name }) => [name, state[computedState(name)]!]));

/** Features that are computed when they are first read. `p` is what is differentiated, `state` all of the state. */
export function lazyFeatures(
  settings: PhaseSettings,
  phase: PhaseState,
  p: Tensors,
  state: Tensors,
  feeds: Tensors,
): Features {
  const { model } = settings;
  const options = { remat: settings.remat === 'blocks' };
  const own = once(() => scaledAdapters(p, settings));
  const image = once((): VisionOutput => {
    const { images, imageFeatures, patchMask, spatialShapes } = feeds;
    if (imageFeatures) return onlyPooled(imageFeatures);
    if (model.vision.kind !== 'naflex') return visionTower(own(), model, normalisePixels(images!), options);
    return naflexTower(own(), model, normalisePatches(images!, patchMask!), patchMask!, spatialShapes!, options);
  });
  const text = once(() => textTower(own(), model, feeds.tokens!, options));
  const negatives = once(() => textTower(own(), model, feeds.negativeTokens!, options));
  const teacher = once(() => visionTower(teacherOf(phase, state), model, normalisePixels(feeds.globalView!)));
  return {
    get image() {
      return image();
    },
    get text() {
      return text();
    },
    get negatives() {
      return negatives();
    },
    get teacherGlobal() {
      return teacher();
    },
  };
}

/** Parameters as towers take them: B times alpha / rank. */
function scaledAdapters(p: Tensors, { model, lora }: PhaseSettings): Tensors {
  if (!lora) return p;
  const scaled = adaptedLayers(model, lora).map(({ layer }) => {
    const b = adapterB(layer);
    return [b, p[b]!.mul(adapterScale(lora))] as const;
  });
  return { ...p, ...Object.fromEntries(scaled) };
}

function once<T>(make: () => T): () => T {
  const made: T[] = [];
  return () => {
    if (made.length === 0) made.push(make());
    return made[0]!;
  };
}

export interface Losses {
  /** Weighted sum, a scalar. */
  readonly total: Tensor;
  /** `loss/<objective>`, not weighted, and `<objective>/<metric>`: scalars. */
  readonly reported: Tensors;
  /** Arrays with a row for each example. */
  readonly rows: Tensors;
  /** New pieces of state, by their keys. */
  readonly state: Tensors;
}

/** The losses of some of the phase's objectives. */
export function lossesOf(
  settings: PhaseSettings,
  phase: PhaseState,
  chosen: readonly ActiveObjective[],
  { p, state, feeds, features }: { p: Tensors; state: Tensors; feeds: Tensors; features: Features },
): Losses {
  const teacher = teacherOf(phase, state);
  const computed = computedOf(phase, state);
  const tower = { remat: settings.remat === 'blocks' };
  const terms: Tensor[] = [];
  const reported: Record<string, Tensor> = {};
  const next: Record<string, Tensor> = {};
  const beside: Tensors[] = [];
  for (const { name, objective, settings: own } of chosen) {
    const inputs = { settings: own, model: settings.model, tower, p, teacher, state: computed, feeds, features };
    const { loss, metrics = {}, rows = {}, state: moved = {} } = objective.loss(inputs);
    beside.push(rows);
    terms.push(loss.mul(own.weight));
    reported[lossOf(name)] = loss;
    for (const [metric, value] of Object.entries(metrics)) reported[`${name}/${metric}`] = value;
    for (const [piece, value] of Object.entries(moved)) next[computedState(piece)] = value;
  }
  return { total: sumOf(terms), reported, rows: Object.assign({}, ...beside), state: next };
}

/** What the teacher says of a batch of global views, by the objective that learns from it. */
export function sayingsOf(
  settings: PhaseSettings,
  phase: PhaseState,
  state: Tensors,
  feeds: Tensors,
): Readonly<Record<string, Sayings>> {
  const features = lazyFeatures(settings, phase, {}, state, feeds);
  const inputs = { teacher: teacherOf(phase, state), state: computedOf(phase, state), features };
  const said = phase.objectives.flatMap(({ name, objective, settings }) =>
    objective.says ? [[name, objective.says({ ...inputs, settings })] as const] : [],
  );
  return Object.fromEntries(said);
}

/** Scalars added from left to right; AddN has no fixed order. */
export const sumOf = (terms: readonly Tensor[]): Tensor => terms.reduce((sum, term) => sum.add(term));
