import { tokenTable } from '../model/parameters.ts';
import { wholeVocabulary } from '../model/sizes.ts';
import { isMoment } from '../optimiser/optimiser.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { phaseState } from './phase-state.ts';

/**
 * Bytes of a checkpoint: all of the state in f32, and the token table whole; headers are a few kilobytes.
 *
 * @param withoutMoments as between rounds where these begin at zero
 */
export function checkpointBytes(
  settings: PhaseSettings,
  withoutMoments = false,
): { readonly each: number; readonly shared: number } {
  const { pieces, towers } = phaseState(settings);
  const [rows, width] = pieces[tokenTable]!.shape as [number, number];
  const bytes = (of: readonly { readonly shape: readonly number[] }[]) =>
    4 * of.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  const rest = 4 * (wholeVocabulary(settings.model.text) - rows) * width;
  const all =
    bytes(Object.entries(pieces).flatMap(([key, piece]) => (withoutMoments && isMoment(key) ? [] : piece))) + rest;
  // What adapters are of lies once for all checkpoints of a phase.
  const shared = settings.lora ? bytes(towers) + rest : 0;
  return { each: all - shared, shared };
}

/** Of one checkpoint with all that it names: what a first one uploads, and who goes on from it fetches. */
export function wholeBytes(settings: PhaseSettings, withoutMoments = false): number {
  const { each, shared } = checkpointBytes(settings, withoutMoments);
  return each + shared;
}
