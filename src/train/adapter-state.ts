import { scaleTensor } from '../checkpoint/training-tensors.ts';
import { type AdaptedLayer, adaptedLayers, adapterA, adapterB, adapterScale, isAdapter } from '../model/adapters.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { tf } from '../runtime/tensorflow.ts';
import type { PhaseState } from './phase-state.ts';
import type { ReadPieces } from './pieces.ts';
import type { StateFiles } from './state-files.ts';

/**
 * Weights with adapters, by their names. A state with adapters holds in `model.safetensors` the model with them added, which
 * whoever reads it needs to know nothing of; and beside the adapters the weights as they are without them, byte for byte, and
 * what B A is multiplied by.
 */
export function adaptedWeights({ model, lora }: PhaseSettings): ReadonlyMap<string, AdaptedLayer> {
  const layers = lora ? adaptedLayers(model, lora) : [];
  return new Map(layers.map((one) => [`${one.layer}.weight`, one]));
}

/** Adds adapters to weights, which are given by their names: W + (alpha / rank) B A. The adapters are in memory meanwhile. */
export function adapterMerge(
  settings: PhaseSettings,
  read: ReadPieces,
): (weight: string, values: Float32Array) => Float32Array {
  const { lora } = settings;
  const weights = adaptedWeights(settings);
  if (!lora || weights.size === 0) return (_, values) => values;
  const held = read([...weights.values()].flatMap(({ layer }) => [adapterA(layer), adapterB(layer)]));
  return (weight, values) => {
    const found = weights.get(weight);
    if (!found) return values;
    const { layer, shape } = found;
    return tf.tidy(() => {
      const a = tf.tensor2d(held[adapterA(layer)] as Float32Array, [lora.rank, shape[1]]);
      const b = tf.tensor2d(held[adapterB(layer)] as Float32Array, [shape[0], lora.rank]).mul(adapterScale(lora));
      return tf
        .tensor2d(values, [...shape])
        .add(tf.matMul(b, a))
        .dataSync() as Float32Array;
    });
  };
}

/**
 * Whether a phase goes on with the adapters of a state: they are of the same layers, rank and scale. Others have become part of
 * the model, and the phase starts its own.
 */
export async function keepsAdapters(
  { training }: StateFiles,
  settings: PhaseSettings,
  { parameters }: Pick<PhaseState, 'parameters'>,
): Promise<boolean> {
  const { lora } = settings;
  const file = training.get(scaleTensor);
  if (!lora || !file) return false;
  const [scale] = new Float32Array((await file.read(scaleTensor)).buffer);
  const own = parameters.filter(({ name }) => isAdapter(name));
  const held = [...training.keys()].filter((name) => isAdapter(name) && !name.includes('/'));
  return (
    scale === Math.fround(adapterScale(lora)) &&
    held.length === own.length &&
    own.every(({ name, shape }) => training.get(name)?.info(name).shape.join() === shape.join())
  );
}
