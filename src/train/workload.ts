import type { DinoHeadSize } from '../model/dino-head.ts';
import { encoderFlops, mapHeadFlops } from '../model/flops.ts';
import { patchGrid } from '../model/parameters.ts';
import { embeddingWidth, type TowerSize } from '../model/sizes.ts';
import { captionTasks } from '../recipe/caption-tasks.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { PhaseSteps } from '../recipe/steps.ts';
import { phaseState } from './phase-state.ts';

/** What a phase asks of a device, by arithmetic alone. */
export interface Workload {
  /** Floating-point operations for each example: matmuls, backward as two forwards, recomputed blocks counted. */
  readonly flopsPerExample: number;
  /** Parameters, moments, teacher and so on, in f32. */
  readonly stateBytes: number;
  /** Gradients, and with micro-batches their sums. */
  readonly gradientBytes: number;
  /** What the backward pass needs of the forward pass, of the largest micro-batch. */
  readonly activationBytes: number;
  /** Memory of a GPU at the peak of a step; and of the trainer process where the CPU is the device. */
  readonly gpuBytes: number;
  readonly processBytes: number;
}

/** One run of transformer layers over each example. */
interface Pass {
  readonly size: TowerSize;
  /** Sequences of an example, and their tokens. */
  readonly sequences: number;
  readonly length: number;
  /** Of images: patches are embedded, and pooled. */
  readonly patch?: number;
  /** Tokens of `width` that every layer attends to beside its own. */
  readonly memory?: { readonly length: number; readonly width: number };
  /** The teacher's are not differentiated. */
  readonly trained: boolean;
}

/** Rows of an example that a head of self-distillation sees. */
interface HeadPass {
  readonly size: DinoHeadSize;
  readonly rows: number;
  readonly trained: boolean;
}

/** Libraries, graphs and compiled code, measured: before any state, and for each layer of each pass. */
const libraryBytes = 0.6e9;
const layerBytes = 16e6;
/** What a GPU keeps for its libraries and its matmuls. */
const workspaceBytes = 0.5e9;

/**
 * Counts what a step holds. Kept for the backward pass of a layer, in numbers a token: 8 widths (norms, queries, keys,
 * values, sums), 2 of the MLP, 2 of the scores; in bfloat16 half the bytes. Measured on CPUs, a dozen shapes: peaks were
 * within 15 % of `processBytes` (test/train/workload.test.ts).
 */
export function workloadOf(settings: PhaseSettings): Workload {
  const { accumulate, remat, precision } = settings;
  const phase = phaseState(settings);
  const total = (of: readonly { readonly shape: readonly number[] }[]) =>
    of.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 4), 0);
  const stateBytes = total(Object.values(phase.pieces));
  const gradientBytes = total(phase.parameters) * (accumulate > 1 ? 2 : 1);
  const shapes = new PhaseSteps(settings.batches).shapes();
  // What is left to measurement is tried in both.
  const number = precision === 'bf16' ? 2 : 4;
  const activations = shapes.map(({ count, length }) => (count / accumulate) * kept(settings, length) * number);
  const flops = shapes.map(({ length }) => flopsOf(settings, length));
  const activationBytes = Math.max(...activations) + logitBytes(settings);
  const layers = passesOf(settings, shapes[0]!.length).reduce((sum, { size }) => sum + size.depth, 0);
  const step = stateBytes + gradientBytes + activationBytes;
  return {
    // Each length is drawn as often.
    flopsPerExample: flops.reduce((a, b) => a + b, 0) / flops.length,
    stateBytes,
    gradientBytes,
    activationBytes,
    gpuBytes: step + workspaceBytes,
    // Of what is loaded and of snapshots a good part lies in the process a second time.
    processBytes: step + 0.5 * stateBytes + libraryBytes + layerBytes * layers * (remat === 'blocks' ? 2 : 1),
  };
}

function passesOf({ model, objectives, batches }: PhaseSettings, patches: number | null): Pass[] {
  const { vision, text } = model;
  const { captioning, localToGlobal, maskedPrediction } = objectives;
  const length = patches ?? patchGrid(model) ** 2;
  const { patch } = vision;
  const image = { size: vision, sequences: 1, length, patch, trained: true };
  const words = { size: text, sequences: 1, length: batches.textLength, trained: true };
  const decoded = captioning && {
    size: { ...text, depth: captioning.depth },
    sequences: captionTasks.length,
    length: text.length,
    memory: { length, width: vision.width },
    trained: true,
  };
  return [
    ...(objectives.sigmoid || captioning ? [image] : []),
    ...(objectives.sigmoid ? [words] : []),
    ...(decoded ? [decoded] : []),
    ...(localToGlobal || maskedPrediction ? [{ ...image, trained: false }] : []),
    ...(localToGlobal
      ? [{ ...image, sequences: localToGlobal.views, length: Math.floor(localToGlobal.resolution / patch) ** 2 }]
      : []),
    ...(maskedPrediction ? [image] : []),
  ];
}

function headsOf({ model, objectives: { localToGlobal, maskedPrediction } }: PhaseSettings): HeadPass[] {
  const patches = patchGrid(model) ** 2;
  return [
    ...(localToGlobal
      ? [
          { size: localToGlobal, rows: localToGlobal.views, trained: true },
          { size: localToGlobal, rows: 1, trained: false },
        ]
      : []),
    ...(maskedPrediction
      ? [
          { size: maskedPrediction, rows: Math.round(maskedPrediction.share * patches), trained: true },
          { size: maskedPrediction, rows: patches, trained: false },
        ]
      : []),
  ];
}

/** Numbers that are kept of one example. */
function kept(settings: PhaseSettings, patches: number | null): number {
  const again = settings.remat === 'blocks';
  let kept = 0;
  let most = 0;
  for (const { size, sequences, length, memory, trained } of passesOf(settings, patches)) {
    const { width, mlp, heads, depth } = size;
    const crossed = memory ? 6 * width + 2 * heads * memory.length : 0;
    const layer =
      sequences * length * (8 * width + 2 * mlp + 2 * heads * length + crossed) +
      (memory ? 2 * memory.length * width : 0);
    most = Math.max(most, layer);
    if (trained) kept += again ? depth * sequences * length * width : depth * layer;
  }
  for (const { size, rows, trained } of headsOf(settings))
    kept += rows * ((trained ? 4 : 3) * size.prototypes + (trained ? 4 : 1) * size.hidden);
  return kept + (again ? most : 0);
}

/** Logits over the vocabulary exist in chunks: themselves, their softmax and its gradient, in f32. */
function logitBytes({ objectives: { captioning }, model: { text } }: PhaseSettings): number {
  return captioning ? 3 * 4 * captioning.chunk * text.vocabulary : 0;
}

function flopsOf(settings: PhaseSettings, patches: number | null): number {
  const { model, objectives, batches, remat } = settings;
  let flops = 0;
  for (const { size, sequences, length, patch, memory, trained } of passesOf(settings, patches)) {
    const rows = sequences * length;
    const { width, depth } = size;
    let layers = encoderFlops(size, rows, length);
    if (memory) {
      layers += depth * (2 * 2 * rows * width * width + 2 * 2 * rows * memory.length * width);
      layers += depth * 2 * 2 * memory.length * memory.width * width;
    }
    const ends =
      (patch ? 2 * rows * 3 * patch ** 2 * width + mapHeadFlops(size, sequences, length) : 0) +
      (memory ? 2 * rows * width * model.text.vocabulary : 0);
    flops += (trained ? 3 : 1) * (layers + ends) + (trained && remat === 'blocks' ? layers : 0);
  }
  for (const { size, rows, trained } of headsOf(settings)) {
    const { hidden, bottleneck, prototypes } = size;
    const { width } = model.vision;
    const row = width * hidden + hidden * hidden + hidden * bottleneck + bottleneck * prototypes;
    flops += (trained ? 3 : 1) * 2 * rows * row;
  }
  if (objectives.sigmoid) flops += 3 * 2 * embeddingWidth(model) * (model.text.width + batches.batch);
  return flops;
}
