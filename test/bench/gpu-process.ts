import { parameterSpecs } from '../../src/model/parameters.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { collectGarbage } from '../../src/runtime/collect-garbage.ts';
import { isRunnerError } from '../../src/runtime/errors.ts';
import { nodeBackend, tf } from '../../src/runtime/tensorflow.ts';
import { writeSafetensors } from '../../src/safetensors/safetensors-write.ts';
import { phaseState } from '../../src/train/phase-state.ts';
import { freshState } from '../../src/train/state.ts';
import { createTrainer } from '../../src/train/step.ts';
import { workloadOf } from '../../src/train/workload.ts';
import { deviceBytes } from './gpu-card.ts';
import { type KindName, kindOf } from './gpu-kinds.ts';
import { noiseBatch } from './noise-batch.ts';
import { precisionOf, type ShapeName, stepSettings } from './shapes.ts';

/**
 * One thing that `gpu.ts` wants to know of a device, in a process of its own, so that it begins with a bare card. The
 * argument is a GpuJob as JSON; the last line of stdout is the answer as JSON.
 */
export type GpuJob =
  /** What TensorFlow has here. */
  | { readonly part: 'device' }
  /** Steps of a tiny phase with the ops of a kind of phase: do all of them have a place, and what are the losses. */
  | { readonly part: 'placement'; readonly kind: KindName; readonly variant: Variant; readonly steps: number }
  /** Memory of the device as the step of a shape is loaded and runs. */
  | { readonly part: 'memory'; readonly shape: ShapeName; readonly variant: Variant; readonly steps: number }
  /** Steps of a shape from a fresh state, whose end is written to a file. */
  | {
      readonly part: 'bytes';
      readonly shape: ShapeName;
      readonly variant: Variant;
      readonly steps: number;
      readonly file: string;
    };
export type Variant = 'f32' | 'bf16' | 'f32-xla' | 'bf16-xla';

export interface DeviceAnswer {
  readonly device: 'cpu' | 'gpu';
  readonly tensorflow: string;
}
export interface PlacementAnswer {
  readonly losses: readonly number[];
  readonly gradientNorms: readonly number[];
}
export interface MemoryAnswer {
  /** On the card before TensorFlow, after it, after the program and its state, after one step and after all. */
  readonly before: number | null;
  readonly loaded: number | null;
  readonly compiled: number | null;
  readonly first: number | null;
  readonly last: number | null;
  /** What `plan` counts for the step. */
  readonly planned: number;
}
export interface BytesAnswer {
  readonly losses: readonly number[];
  readonly seconds: number;
}

const withVariant = (settings: PhaseSettings, variant: Variant): PhaseSettings => ({
  ...settings,
  precision: precisionOf(variant),
  xla: variant.endsWith('-xla') ? 'on' : 'off',
});

function device(): DeviceAnswer {
  const { binding, isUsingGpuDevice } = nodeBackend();
  return { device: isUsingGpuDevice ? 'gpu' : 'cpu', tensorflow: binding.TF_Version ?? tf.version_core };
}

function placement({ kind, variant, steps }: Extract<GpuJob, { part: 'placement' }>): PlacementAnswer {
  const { settings, batchAt } = kindOf(kind);
  const trainer = createTrainer(withVariant(settings, variant));
  trainer.program.write(freshState(settings));
  const reports = Array.from({ length: steps }, (_, i) => trainer.step(i + 1, batchAt(i + 1), i * 6));
  return {
    losses: reports.map(({ loss }) => loss),
    gradientNorms: reports.map(({ gradientNorm }) => gradientNorm),
  };
}

async function memory({ shape, variant, steps }: Extract<GpuJob, { part: 'memory' }>): Promise<MemoryAnswer> {
  const before = await deviceBytes();
  const onGpu = device().device === 'gpu';
  tf.scalar(1).add(1).dataSync();
  const loaded = await deviceBytes();
  const settings = withVariant(stepSettings(shape, precisionOf(variant)), variant);
  const trainer = createTrainer(settings);
  trainer.program.write(freshState(settings));
  collectGarbage();
  const compiled = await deviceBytes();
  const batch = noiseBatch(settings);
  trainer.step(1, batch);
  const first = await deviceBytes();
  for (let step = 2; step <= steps; step++) trainer.step(step, batch);
  const { gpuBytes, processBytes } = workloadOf(settings);
  return { before, loaded, compiled, first, last: await deviceBytes(), planned: onGpu ? gpuBytes : processBytes };
}

async function bytes({ shape, variant, steps, file }: Extract<GpuJob, { part: 'bytes' }>): Promise<BytesAnswer> {
  const settings = withVariant(stepSettings(shape, precisionOf(variant)), variant);
  const trainer = createTrainer(settings);
  trainer.program.write(freshState(settings));
  const batch = noiseBatch(settings);
  const began = performance.now();
  const losses = Array.from({ length: steps }, (_, i) => trainer.step(i + 1, batch).loss);
  const seconds = (performance.now() - began) / 1000;
  const names = parameterSpecs(settings.model, settings.init).map(({ name }) => name);
  const values = trainer.program.read(names);
  const { pieces } = phaseState(settings);
  const tensors = names.map((name) => {
    const { buffer, byteOffset, byteLength } = values[name]!;
    return { name, dtype: 'F32', shape: pieces[name]!.shape, data: new Uint8Array(buffer, byteOffset, byteLength) };
  });
  await writeSafetensors(file, tensors as never);
  return { losses, seconds };
}

const job = JSON.parse(process.argv[2]!) as GpuJob;
try {
  const answer =
    job.part === 'device'
      ? device()
      : job.part === 'placement'
        ? placement(job)
        : job.part === 'memory'
          ? await memory(job)
          : await bytes(job);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
} catch (error) {
  // A sentence of ours says which op has no place; what else it is has its first line.
  if (!isRunnerError(error)) console.error((error as Error).stack);
  process.stdout.write(`${JSON.stringify({ error: (error as Error).message.split('\n')[0] })}\n`);
}
process.exit(0);
