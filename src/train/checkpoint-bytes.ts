import { tokenTable } from '../model/parameters.ts';
import { fullVocabulary } from '../model/sizes.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { adaptedWeights } from './adapter-state.ts';
import { phaseState } from './phase-state.ts';

/** Bytes of a checkpoint: all of the state in f32, weights with adapters twice, and the token table whole; headers are a few kilobytes. */
export function checkpointBytes(settings: PhaseSettings): number {
  const { pieces } = phaseState(settings);
  const [rows, width] = pieces[tokenTable]!.shape as [number, number];
  const held = [...Object.values(pieces), ...adaptedWeights(settings).values()];
  const values = held.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  return 4 * (values + (fullVocabulary - rows) * width);
}
