import type { PhaseSettings } from '../recipe/phase-settings.ts';
import type { Recipe } from '../recipe/schema.ts';
import { type DataFacts, phaseSettings } from '../recipe/settings.ts';
import type { DeviceMemory } from '../runtime/device-memory.ts';
import { workloadOf } from './workload.ts';

/** Estimates are that far off; what does not fit by more is not begun. */
const doubt = 0.85;

/** Bytes that the peak of a step takes on a device. */
export function peakBytes(settings: PhaseSettings, { kind }: DeviceMemory): number {
  const { gpuBytes, processBytes } = workloadOf(settings);
  return kind === 'gpu' ? gpuBytes : processBytes;
}

/** What memoryProblem says of the phases of a recipe. */
export function memoryProblems(recipe: Recipe, facts: DataFacts, device: DeviceMemory): string[] {
  return recipe.phases.flatMap((phase) => memoryProblem(phaseSettings(recipe, phase, facts), device) ?? []);
}

/** Why a phase can't be trained on a device, and which changes would help; null when it can. */
export function memoryProblem(settings: PhaseSettings, device: DeviceMemory): string | null {
  const fits = (changed: PhaseSettings) => doubt * peakBytes(changed, device) <= device.bytes;
  if (fits(settings)) return null;
  const { batch } = settings.batches;
  const leaner: PhaseSettings = { ...settings, remat: 'blocks' };
  const divisors = Array.from({ length: batch }, (_, i) => i + 1).filter((n) => batch % n === 0 && batch / n >= 2);
  const accumulated = (of: PhaseSettings) =>
    divisors
      .map((accumulate) => ({ ...of, accumulate }))
      .find((changed) => changed.accumulate > of.accumulate && fits(changed));
  const smaller = divisors
    .map((parts) => ({ ...settings, accumulate: 1, batches: { ...settings.batches, batch: batch / parts } }))
    .find((changed) => fits(changed));
  const [own, both] = [accumulated(settings), accumulated(leaner)];
  const help: [string, PhaseSettings][] = [];
  if (settings.remat === 'none' && fits(leaner)) help.push(['"remat": "blocks"', leaner]);
  if (settings.precision === 'f32') help.push(['"precision": "bf16"', { ...settings, precision: 'bf16' }]);
  if (own) help.push([`"accumulate": ${own.accumulate}`, own]);
  else if (both) help.push([`"remat": "blocks" and "accumulate": ${both.accumulate}`, both]);
  if (smaller) help.push([`"batch": ${smaller.batches.batch}`, smaller]);
  const useful = help.filter(([, changed]) => fits(changed));
  const said = useful.map(([what, changed]) => `${what} (${gigabytes(peakBytes(changed, device))})`).join(', ');
  return (
    `phase ${settings.phase} needs about ${gigabytes(peakBytes(settings, device))} at the peak of a step, and ` +
    `${device.kind === 'gpu' ? 'the GPU' : 'the machine'} has ${gigabytes(device.bytes)}; ` +
    (said ? `what would fit: ${said}` : 'only a smaller model would fit')
  );
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(bytes < 10e9 ? 1 : 0)} GB`;
