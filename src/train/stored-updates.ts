import { updatesTensor } from '../checkpoint/training-tensors.ts';
import { isAdapter } from '../model/adapters.ts';
import { firstMoment } from '../optimiser/optimiser.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import type { TensorToWrite } from '../safetensors/safetensors.ts';
import { keepsAdapters } from './adapter-state.ts';
import { phaseState } from './phase-state.ts';
import { StateFiles } from './state-files.ts';
import { rowsIn, sameTokens } from './token-rows.ts';
import { trainedTokens } from './token-tables.ts';
import { ownCounts, type Updates } from './updates.ts';

/** Counts as pieces of training state: none where every count is the step, as in older checkpoints. */
export function updateTensors({ own }: Updates): TensorToWrite[] {
  return Object.entries(own).map(([name, counts]) => ({
    name: updatesTensor(name),
    dtype: 'I32',
    shape: [counts.length],
    data: new Uint8Array(counts.buffer, counts.byteOffset, counts.byteLength),
  }));
}

/**
 * The counts of the state in `folder`, for a phase that goes on from it: none yet of moments that are not there, that are
 * resampled, or of a token that was not trained before.
 *
 * @param step of the state
 * @param within whether the phase itself made it, by a step of its own: then one without counts is of a release that kept
 * none, and updated everything
 */
export async function readUpdates(
  folder: string,
  settings: PhaseSettings,
  { step, within }: { readonly step: number; readonly within: boolean },
): Promise<Updates> {
  const files = await StateFiles.open(folder);
  try {
    const { training, held } = files;
    if (within && ![...training.keys()].some((name) => name.startsWith(updatesTensor('')))) {
      return { step, own: {}, everything: true };
    }
    const wanted = trainedTokens(settings);
    const moved = !sameTokens(held, wanted);
    const rows = moved ? rowsIn(held, wanted) : null;
    const counts: [string, Int32Array][] = [];
    const phase = phaseState(settings);
    const { parameters, frozen } = phase;
    const keeps = await keepsAdapters(files, settings, phase);
    for (const { name, shape, byToken } of parameters) {
      if (frozen.has(name)) continue;
      if (isAdapter(name) && !keeps) {
        counts.push([name, Int32Array.of(0)]);
        continue;
      }
      const moment = training.get(firstMoment(name))?.info(firstMoment(name));
      const before = await storedCounts(files, name, step);
      const at = (row: number) => before[row] ?? before[0]!;
      if (moment && byToken && rows)
        counts.push([
          name,
          Int32Array.from({ length: shape[0]! }, (_, i) => {
            const row = i < rows.length ? rows[i]! : held.tokens + i - rows.length;
            return row < 0 ? 0 : at(row);
          }),
        ]);
      else counts.push([name, moment?.shape.join() === shape.join() ? before : Int32Array.of(0)]);
    }
    return { step, own: ownCounts(step, counts) };
  } finally {
    await files.close();
  }
}

/** Whether a state says that the moments of a parameter have seen nothing: then they may be missing. */
export async function rested({ training }: StateFiles, name: string): Promise<boolean> {
  const file = training.get(updatesTensor(name));
  return (
    file !== undefined && new Int32Array((await file.read(updatesTensor(name))).buffer).every((count) => count === 0)
  );
}

async function storedCounts({ training }: StateFiles, name: string, step: number): Promise<Int32Array> {
  const file = training.get(updatesTensor(name));
  return file ? new Int32Array((await file.read(updatesTensor(name))).buffer) : Int32Array.of(step);
}
