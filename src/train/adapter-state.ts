import { scaleTensor } from '../checkpoint/training-tensors.ts';
import { adapterScale, isAdapter } from '../model/adapters.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import type { PhaseState } from './phase-state.ts';
import type { StateFiles } from './state-files.ts';

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
