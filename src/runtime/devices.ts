import { type CpuFacts, cpuFacts } from './cpu.ts';
import { type OwnDevice, ownDevice } from './device.ts';
import { RunnerError } from './errors.ts';
import { loaderThreads, share } from './loader-threads.ts';
import { nvidiaSmi } from './nvidia-smi.ts';
import { variable } from './variables.ts';

/** What `--devices` asks for: every GPU, some of them by their names, or so many trainers on the CPU. */
export type DeviceWish = 'all' | { readonly gpus: readonly string[] } | { readonly trainers: number };

/** One device of several that a worker has. */
export interface OneDevice extends OwnDevice {
  readonly kind: 'cpu' | 'cuda';
  /** Name of its lock: of a GPU, and of the first trainer on the CPU, that of a worker which has no other. */
  readonly lock: string;
  /** What a phase is trained on that begins here; null on a GPU. */
  readonly cpu: CpuFacts | null;
}

/** GPUs that may be used, and who names them. */
export interface FoundGpus {
  readonly names: readonly string[];
  readonly by: string;
  /** By the number that nvidia-smi gives a GPU its UUID, so that one GPU of two names is known. */
  readonly uuids: ReadonlyMap<string, string>;
}

const allowed = 'all, GPUs by number or UUID such as 0,2, or trainers on the CPU such as cpu:2';
const wrong = (message: string) => new RunnerError('RecipeInvalid', `--devices ${message}`);

/** Reads the value of `--devices`; RecipeInvalid for what is none. */
export function parseDevices(text: string): DeviceWish {
  const names = text.split(',').map((name) => name.trim());
  if (names.length === 1 && names[0] === 'all') return 'all';
  const trainers = names.map((name) => /^cpu(?::([1-9]\d{0,3}))?$/.exec(name));
  if (trainers.every((found) => found !== null))
    return { trainers: trainers.reduce((sum, [, count = '1']) => sum + Number(count), 0) };
  const unknown = names.find((name, i) => !isGpu(name) && trainers[i] === null);
  if (unknown !== undefined) throw wrong(`names ${JSON.stringify(unknown.slice(0, 60))}; allowed are ${allowed}`);
  if (trainers.some((found) => found !== null))
    throw wrong(`${text} has GPUs and the CPU; start a worker for each of the two`);
  return { gpus: names };
}

const isGpu = (name: string) => /^(\d{1,4}|(GPU|MIG)-[\w/-]+)$/.test(name);

/** GPUs of `CUDA_VISIBLE_DEVICES`, else those of nvidia-smi; null where neither names any. */
export async function findGpus(env: NodeJS.ProcessEnv = process.env): Promise<FoundGpus | null> {
  const lines = await nvidiaSmi('index,uuid', { env });
  const uuids = new Map([...lines.matchAll(/^\s*(\d+)\s*,\s*(\S+)\s*$/gm)].map(([, index, uuid]) => [index!, uuid!]));
  const visible = variable('CUDA_VISIBLE_DEVICES', env);
  if (visible === undefined) return uuids.size > 0 ? { names: [...uuids.keys()], by: 'nvidia-smi', uuids } : null;
  const names = visible.split(',').map((name) => name.trim());
  // CUDA sees none behind the first that is no GPU.
  const end = names.findIndex((name) => !isGpu(name) || (/^\d/.test(name) && uuids.size > 0 && !uuids.has(name)));
  return { names: end < 0 ? names : names.slice(0, end), by: 'CUDA_VISIBLE_DEVICES', uuids };
}

/**
 * The devices that are asked for, each with what its trainer has in its environment. RecipeInvalid where they are not here.
 * @param kind of device that this machine trains on unasked
 */
export function chooseDevices(
  wish: DeviceWish,
  kind: 'cpu' | 'cuda',
  found: FoundGpus | null,
  env: NodeJS.ProcessEnv = process.env,
): OneDevice[] {
  if (wish !== 'all' && 'trainers' in wish) return onCpu(wish.trainers, env);
  const asked = wish === 'all' ? 'all' : wish.gpus.join(',');
  if (kind === 'cpu')
    throw wrong(
      `${asked} asks for GPUs, and this machine trains on its CPU, since SIGLIP2_DEVICE says so or no NVIDIA driver is loaded; type --devices cpu:2 for two trainers there, or leave it out`,
    );
  if (wish === 'all' && !found?.names.length)
    throw wrong(
      `all finds no GPU: ${found ? `${found.by} names none` : 'nvidia-smi does not answer'}; type npm run siglip2 -- doctor, or name GPUs, as in --devices 0,1`,
    );
  const chosen = wish === 'all' ? found!.names : wish.gpus.map((name) => asFound(name, found));
  const seen = new Map<string, string>();
  for (const name of chosen) {
    const gpu = identity(name, found);
    if (seen.has(gpu)) throw wrong(`${asked} names one GPU twice, ${seen.get(gpu)} and ${name}; name each once`);
    seen.set(gpu, name);
  }
  const loader = { SIGLIP2_LOADER_THREADS: String(share(loaderThreads(env), chosen.length)) };
  return chosen.map((name): OneDevice => {
    const own = ownDevice('cuda', { CUDA_VISIBLE_DEVICES: name });
    // CUDA counts the fastest first, unless it is told to count as nvidia-smi does.
    return { ...own, kind: 'cuda', lock: own.name, cpu: null, env: { ...own.env, ...inOrder, ...loader } };
  });
}

const inOrder = { CUDA_DEVICE_ORDER: 'PCI_BUS_ID' };

/** What a GPU is known by, whichever of its names is given; a UUID may be cut short. */
function identity(name: string, found: FoundGpus | null): string {
  const uuids = [...(found?.uuids.values() ?? [])];
  return found?.uuids.get(name) ?? uuids.find((uuid) => uuid.startsWith(name)) ?? name;
}

/** A GPU by the name that it was found by. What is here may be unknown: then TensorFlow says whether it is. */
function asFound(name: string, found: FoundGpus | null): string {
  if (found === null) return name;
  const known = found.names.find((one) => identity(one, found) === identity(name, found));
  if (known !== undefined) return known;
  // A part of a GPU is in no list of GPUs.
  if (name.startsWith('MIG-') && found.by === 'nvidia-smi') return name;
  const there = found.names.length > 0 ? `names ${found.names.join(', ')}` : 'names none';
  throw wrong(`names GPU ${name}, and ${found.by} ${there}; type --devices all, or some of those that are named`);
}

/** Trainers on the CPU share its threads. */
function onCpu(trainers: number, env: NodeJS.ProcessEnv): OneDevice[] {
  const here = cpuFacts(env);
  if (trainers > here.threads)
    throw wrong(
      `asks for ${trainers} trainers on the CPU, which has ${here.threads} threads; at most --devices cpu:${here.threads}`,
    );
  const threads = share(here.threads, trainers);
  const own = {
    SIGLIP2_DEVICE: 'cpu',
    TF_NUM_INTRAOP_THREADS: String(threads),
    SIGLIP2_LOADER_THREADS: String(share(loaderThreads(env), trainers)),
  };
  const single = ownDevice('cpu').name;
  return Array.from({ length: trainers }, (_, i) => ({
    ...({ name: `cpu-${i}`, kind: 'cpu', env: own, cpu: { ...here, threads } } as const),
    lock: i === 0 ? single : `${single}-${i}`,
  }));
}
