import { createRequire } from 'node:module';
import util from 'node:util';
import type { NodeJSKernelBackend } from '@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js';
import { hasNvidiaDriver } from './device.ts';
import { RunnerError } from './errors.ts';
import { images, ownImage } from './image.ts';
import { allowTensorFloat32 } from './tensor-float-32.ts';
import { variable } from './variables.ts';

/**
 * The one place that loads TensorFlow, when it is first used. Only the trainer process and tests use it: libtensorflow
 * is 0.8 GB of mapped code, and its calls block the event loop. Others may import models and objectives for their shapes.
 */

// TensorFlow's banners go to stderr of a process whose logs people read.
process.env.TF_CPP_MIN_LOG_LEVEL ??= '3';
// One process owns a device, but not all of its memory from the start.
process.env.TF_FORCE_GPU_ALLOW_GROWTH ??= 'true';
// Whoever asks for the CPU gets it, whatever the library and the machine have.
if (variable('SIGLIP2_DEVICE') === 'cpu') process.env.CUDA_VISIBLE_DEVICES = '-1';
// On a card sums are taken in the order in which threads come, and matmuls are tried out and chosen by their times, unless
// it is asked for one order. Two attempts would end in other bytes. It costs less than two runs differ (test/LOG.md).
else if (hasNvidiaDriver()) process.env.TF_DETERMINISTIC_OPS ??= '1';

// tfjs-node 4.22 calls two functions that Node 23 removed.
const legacy = util as unknown as Record<string, unknown>;
legacy.isNullOrUndefined ??= (value: unknown) => value === null || value === undefined;
legacy.isArray ??= Array.isArray;

type TensorFlow = typeof import('@tensorflow/tfjs-node-gpu');
let loaded: TensorFlow | null = null;

function load(): TensorFlow {
  try {
    loaded = createRequire(import.meta.url)('@tensorflow/tfjs-node-gpu') as TensorFlow;
  } catch (cause) {
    const image = ownImage();
    const without = image !== null && !images[image].tensorflow;
    const why = without
      ? `the image ${image} has no TensorFlow; use the image worker-cpu or worker-cuda for this`
      : 'TensorFlow could not be loaded: its native part is missing or does not fit; type npm run siglip2 -- doctor to see what to do';
    throw new RunnerError('SetupMissing', why, { cause });
  }
  // What is float32 is multiplied as float32; a program in bfloat16 allows less while it runs.
  if (nodeBackend().isUsingGpuDevice) allowTensorFloat32(false);
  return loaded;
}

export const tf = new Proxy({} as TensorFlow, {
  get: (_, name) => (loaded ?? load())[name as keyof TensorFlow],
});

/** The backend that runs TensorFlow's own ops by name; what `src/compile` records. */
export function nodeBackend(): NodeJSKernelBackend {
  return tf.backend() as unknown as NodeJSKernelBackend;
}
