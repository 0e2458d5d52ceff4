import type { Values } from '../../src/compile/definition.ts';
import { parameterSpecs } from '../../src/model/parameters.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { freshState } from '../../src/train/state.ts';

/** A state as after some training: moments are no zeros, which a disk or a store could make short work of. */
export function noisyState(settings: PhaseSettings): Values {
  const state: Record<string, Values[string]> = { ...freshState(settings) };
  for (const { name } of parameterSpecs(settings.model, settings.init)) {
    for (const key of [`m/${name}`, `v/${name}`]) state[key] = state[key]!.map((_, i) => Math.sin(i) * 1e-3);
  }
  return state;
}
