import { join } from 'node:path';
import { adapterB, adapterMagnitude } from '../model/adapters.ts';
import { RunnerError } from '../runtime/errors.ts';
import { SafetensorsFile, writeSafetensors } from '../safetensors/safetensors.ts';
import { baseFile } from './base-files.ts';
import { addAdapter } from './hugging-face/add-adapter.ts';
import type { LayerAdapter } from './hugging-face/read-adapter.ts';
import { scaleTensor } from './training-tensors.ts';
import type { StateFile } from './types.ts';

/** What Hugging Face loads: the two towers, with adapters added. */
export const modelFile = 'model.safetensors';

/** Read at once of a weight. */
const chunkBytes = 4 * 1024 * 1024;

/**
 * Writes `model.safetensors` of `base.safetensors` and the adapters of the training files beside it. The same files give the
 * same bytes on every machine. The adapters are in memory meanwhile, and of the rest 4 MiB. CheckpointDamaged where adapters
 * are of nothing.
 */
export async function composeModel(
  folder: string,
  state: readonly Pick<StateFile, 'path'>[],
): Promise<{ bytes: number; sha256: string }> {
  const files: SafetensorsFile[] = [];
  try {
    for (const { path } of state) files.push(await SafetensorsFile.open(join(folder, path)));
    const base = files[state.findIndex(({ path }) => path === baseFile)]!;
    const layers = await adaptersIn(files.filter((file) => file !== base));
    for (const weight of layers.keys())
      if (!base.tensors.has(weight))
        throw new RunnerError('CheckpointDamaged', `${base.path} lacks ${weight}, which has an adapter`);
    const plain = [...base.tensors].map(([name, { dtype, shape }]) => {
      return { name, dtype, shape, data: () => base.chunks(name, chunkBytes) };
    });
    return await writeSafetensors(join(folder, modelFile), addAdapter(plain, layers), { sync: false });
  } finally {
    for (const file of files) await file.close();
  }
}

/** The adapters of a state by the weights that they are of. */
async function adaptersIn(training: readonly SafetensorsFile[]): Promise<Map<string, LayerAdapter>> {
  const holder = new Map(training.flatMap((file) => [...file.tensors.keys()].map((name) => [name, file] as const)));
  const floats = (name: string) => (holder.get(name) ?? training[0]!).readFloats(name);
  const layers = new Map<string, LayerAdapter>();
  for (const name of holder.keys()) {
    const layer = /^([^/]+)\.lora_A\.weight$/.exec(name)?.[1];
    if (layer === undefined) continue;
    const [scale] = await floats(scaleTensor);
    const rank = holder.get(name)!.info(name).shape[0]!;
    const lengths = adapterMagnitude(layer);
    const own = { a: await floats(name), b: await floats(adapterB(layer)) };
    const magnitude = holder.has(lengths) ? await floats(lengths) : undefined;
    layers.set(`${layer}.weight`, { layer, rank, scale: scale!, ...own, ...(magnitude && { magnitude }) });
  }
  return layers;
}
