import { isAdapter } from '../model/adapters.ts';
import { blockOf, isMeant, type Stack } from '../model/parameter-parts.ts';
import type { ParameterSpec } from '../model/parameters.ts';
import type { PhaseSettings } from './phase-settings.ts';
import type { OptimizerSettings } from './schema.ts';

type Choice = Pick<PhaseSettings, 'train' | 'freeze' | 'lora'> & {
  readonly optimizer: Pick<OptimizerSettings, 'multipliers'>;
};

/** Whether a phase leaves a parameter as it is: it is not among what is trained, or its rate is 0. */
export function isFrozen({ train, freeze = [], lora, optimizer }: Choice, parameter: string): boolean {
  if (lora && !isAdapter(parameter)) return true;
  if (train && !train.some((selector) => isMeant(selector, parameter))) return true;
  if (freeze.some((selector) => isMeant(selector, parameter))) return true;
  return rateMultiplier(optimizer, parameter) === 0;
}

/** What the learning rate of a parameter is multiplied by: by every selector of `multipliers` that means it. */
export function rateMultiplier({ multipliers }: Pick<OptimizerSettings, 'multipliers'>, parameter: string): number {
  const meant = Object.keys(multipliers).filter((selector) => isMeant(selector, parameter));
  // In one order, whatever the order in a document: rounding depends on it.
  return meant.sort().reduce((product, selector) => product * multipliers[selector]!, 1);
}

/**
 * The parameters with the share of an update that each of them makes, as layers decay in BEiT (arXiv 2106.08254) and in timm:
 * `decay` to the power of how many layers lie above. What comes after the blocks of a stack makes whole updates, the last block
 * `decay` of them, and what comes before the first block counts as one layer more.
 */
export function decayedByLayer(
  parameters: readonly ParameterSpec[],
  decay: number | undefined,
): readonly ParameterSpec[] {
  if (decay === undefined || decay === 1) return parameters;
  const depths = new Map<Stack, number>();
  for (const { name } of parameters) {
    const block = blockOf(name);
    if (block) depths.set(block.stack, Math.max(depths.get(block.stack) ?? 0, block.index + 1));
  }
  return parameters.map((spec) => {
    const above = layersAbove(spec.name, depths);
    return above === 0 ? spec : { ...spec, share: decay ** above };
  });
}

/** What comes before the blocks of each stack. */
const below: Readonly<Record<Stack, readonly string[]>> = {
  imageBlocks: ['vision_model.embeddings.', 'mask_token'],
  textBlocks: ['text_model.embeddings.'],
  decoder: ['decoder.embed_'],
};

function layersAbove(parameter: string, depths: ReadonlyMap<Stack, number>): number {
  const block = blockOf(parameter);
  if (block) return depths.get(block.stack)! - block.index;
  const stack = (Object.keys(below) as Stack[]).find((one) => below[one].some((start) => parameter.startsWith(start)));
  return stack ? (depths.get(stack) ?? 0) + 1 : 0;
}
