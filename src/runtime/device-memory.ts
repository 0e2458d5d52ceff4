import { totalmem } from 'node:os';
import { nvidiaSmi } from './nvidia-smi.ts';
import { variable } from './variables.ts';

/** What a step has to fit into. */
export interface DeviceMemory {
  readonly kind: 'gpu' | 'cpu';
  readonly bytes: number;
  /** Of the machine round a GPU. */
  readonly host?: number;
  /** Of this worker, where there are several: they share the memory of the machine. */
  readonly trainers?: number;
}

/** Memory of the first GPU that this process may use, as nvidia-smi says; null when it does not answer. */
async function gpuMemory(env: NodeJS.ProcessEnv): Promise<DeviceMemory | null> {
  const mebibytes = Number.parseInt((await ofFirstGpu('memory.total', env)) ?? '', 10);
  return mebibytes > 0 ? { kind: 'gpu', bytes: mebibytes * 2 ** 20, host: machineMemory() } : null;
}

async function ofFirstGpu(what: 'memory.total' | 'name', env: NodeJS.ProcessEnv): Promise<string | null> {
  const [first] = (variable('CUDA_VISIBLE_DEVICES', env) ?? '').split(',');
  return /\S.*/.exec(await nvidiaSmi(what, { only: first }))?.[0].trim() ?? null;
}

/** What the device that trains here is called: as nvidia-smi says, or `cpu`; null when it does not answer. */
export async function deviceName(kind: 'cpu' | 'cuda', env = process.env): Promise<string | null> {
  return kind === 'cuda' ? ofFirstGpu('name', env) : 'cpu';
}

/** Memory of the device that trains here; of a CPU that of the machine, or of the container. */
export async function deviceMemory(kind: 'cpu' | 'cuda', env = process.env): Promise<DeviceMemory | null> {
  if (kind === 'cuda') return gpuMemory(env);
  return { kind: 'cpu', bytes: machineMemory() };
}

function machineMemory(): number {
  // Without a limit the constrained memory is 0, or more than there is.
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
