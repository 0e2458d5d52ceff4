import { existsSync } from 'node:fs';
import { variable } from './variables.ts';

/** True where an NVIDIA driver is loaded; a container that was given a GPU shows the same file or device. */
export function hasNvidiaDriver(): boolean {
  return existsSync('/proc/driver/nvidia/version') || existsSync('/dev/nvidiactl');
}

/**
 * Why a trainer must not begin on the device that TensorFlow gave it, or null. Training on the CPU beside an idle GPU
 * would look like a very slow run.
 */
export function deviceProblem(device: 'cpu' | 'gpu', wish: string | undefined, hasDriver: boolean): string | null {
  if (device === 'gpu' || wish === 'cpu') return null;
  if (wish === 'gpu')
    return 'SIGLIP2_DEVICE=gpu, but TensorFlow sees no GPU; type npm run siglip2 -- doctor, or set SIGLIP2_DEVICE=cpu to train on the CPU';
  if (!hasDriver) return null;
  return 'this machine has an NVIDIA GPU, but TensorFlow does not see it; type npm run siglip2 -- doctor, or set SIGLIP2_DEVICE=cpu to train on the CPU all the same';
}

/** The device of a worker: what its lock is called, and what its trainer has in its environment. */
export interface OwnDevice {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
}

/**
 * One process has one device. TensorFlow would take memory on every GPU that it sees, so a trainer sees one: the first
 * of `CUDA_VISIBLE_DEVICES`, or 0. More GPUs are for more trainers (`devices.ts`), or for more workers.
 */
export function ownDevice(kind: 'cpu' | 'cuda', env: NodeJS.ProcessEnv = process.env): OwnDevice {
  if (kind === 'cpu') return { name: 'device', env: {} };
  const first = (variable('CUDA_VISIBLE_DEVICES', env) ?? '0').split(',')[0]!.trim();
  return { name: `gpu-${first.replaceAll(/[^\w-]/g, '-')}`, env: { CUDA_VISIBLE_DEVICES: first } };
}
