import type { PhaseSettings } from '../recipe/phase-settings.ts';
import type { Recipe } from '../recipe/schema.ts';
import { type DataFacts, phaseSettings } from '../recipe/settings.ts';
import { trainedSettings } from '../recipe/trained-settings.ts';
import type { DeviceMemory } from '../runtime/device-memory.ts';
import { loaderThreads, share } from '../runtime/loader-threads.ts';
import { compileProblem } from './compiles.ts';
import { memoryPlan } from './memory-plan.ts';

/** Estimates are that far off; what does not fit by more is not begun. */
const doubt = 0.85;

/** Bytes of the machine that one of its trainers may have; of a GPU all that it has are its trainer's. */
const roomOf = ({ kind, bytes, trainers = 1 }: DeviceMemory): number => (kind === 'cpu' ? bytes / trainers : bytes);

/** Of one trainer: all share the loader's threads. */
const planOn = (settings: PhaseSettings, { trainers = 1 }: DeviceMemory) =>
  memoryPlan(settings, undefined, share(loaderThreads(), trainers));

/** Bytes that the peak of a step takes on a device. */
export function peakBytes(settings: PhaseSettings, device: DeviceMemory): number {
  const { gpuBytes, processBytes } = planOn(settings, device);
  const { kind } = device;
  return kind === 'gpu' ? gpuBytes : processBytes;
}

/** What compileProblem says of the phases of a recipe. */
export const compileProblems = (recipe: Recipe, facts: DataFacts): string[] =>
  recipe.phases.flatMap((phase) => compileProblem(trainedSettings(phaseSettings(recipe, phase, facts))) ?? []);

/** What memoryProblem says of the phases of a recipe. */
export function memoryProblems(
  recipe: Recipe,
  facts: DataFacts,
  device: DeviceMemory,
  compactRows?: number | undefined,
): string[] {
  return recipe.phases.flatMap(
    (phase) => memoryProblem(trainedSettings(phaseSettings(recipe, phase, facts)), device, compactRows) ?? [],
  );
}

/** A change of a recipe, and the settings that it leads to. */
type Change = readonly [string, PhaseSettings];

/**
 * Why a phase can't be trained on a device, and which changes would help, each with what it needs; null when it can, as
 * far as the estimate is to be trusted.
 * @param compactRows tokens that a compacted table would have
 */
export function memoryProblem(
  settings: PhaseSettings,
  device: DeviceMemory,
  compactRows?: number | undefined,
): string | null {
  if (doubt * peakBytes(settings, device) <= roomOf(device)) return hostProblem(settings, device);
  const said = changesOf(settings, device, compactRows)
    .map(([what, changed]) => `${what} (${gigabytes(peakBytes(changed, device))})`)
    .join(', ');
  return `${needs(settings, device)}; ${said ? `what would fit: ${said}` : 'only a smaller model would fit'}`;
}

/** A GPU has a machine round it, which holds batches, graphs and snapshots. */
function hostProblem(settings: PhaseSettings, device: DeviceMemory): string | null {
  const { kind, host, trainers = 1 } = device;
  if (kind !== 'gpu' || host === undefined) return null;
  const { hostBytes } = planOn(settings, device);
  if (doubt * hostBytes * trainers <= host) return null;
  const beside = trainers > 1 ? `beside each of ${trainers} GPUs` : 'beside its GPU';
  return `phase ${settings.phase} needs about ${gigabytes(hostBytes)} of the machine ${beside}, which has ${gigabytes(host)}; a smaller batch or model would need less`;
}

/** That a phase is begun though the estimate is above what there is; null where it is not. */
export function memoryNote(settings: PhaseSettings, device: DeviceMemory): string | null {
  const peak = peakBytes(settings, device);
  if (peak <= roomOf(device) || doubt * peak > roomOf(device)) return null;
  const percent = Math.round(100 * (1 - doubt));
  return `${needs(settings, device)}: it is begun all the same, since estimates may be ${percent} % too high`;
}

function needs(settings: PhaseSettings, device: DeviceMemory): string {
  const owner = device.kind === 'gpu' ? 'the GPU' : 'the machine';
  const each = device.kind === 'cpu' && (device.trainers ?? 1) > 1 ? ` in each of ${device.trainers} trainers` : '';
  return `phase ${settings.phase} needs about ${gigabytes(peakBytes(settings, device))} at the peak of a step${each}, and ${owner} has ${gigabytes(device.bytes)}`;
}

/** The changes after which a phase fits, by the estimate as it is: nothing is proposed that might not do. */
function changesOf(settings: PhaseSettings, device: DeviceMemory, compactRows: number | undefined): Change[] {
  const fits = ([, changed]: Change) => peakBytes(changed, device) <= roomOf(device);
  const { batch } = settings.batches;
  const divisors = Array.from({ length: batch }, (_, i) => i + 1).filter((n) => batch % n === 0 && batch / n >= 2);
  const lean: Change = ['"remat": "blocks"', { ...settings, remat: 'blocks' }];
  const accumulated = ([what, of]: Change): Change | undefined =>
    divisors
      .filter((accumulate) => accumulate > of.accumulate)
      .map((accumulate): Change => [`${what}${what && ' and '}"accumulate": ${accumulate}`, { ...of, accumulate }])
      .find(fits);
  const smaller = divisors
    .map((parts) => batch / parts)
    .map(
      (batch): Change => [`"batch": ${batch}`, { ...settings, accumulate: 1, batches: { ...settings.batches, batch } }],
    )
    .find(fits);
  const compact = compacted(settings, compactRows);
  const some = [
    ...(settings.remat === 'none' ? [lean] : []),
    ...(settings.precision !== 'bf16' ? [['"precision": "bf16"', { ...settings, precision: 'bf16' }] as const] : []),
    ...(compact ? [compact] : []),
    accumulated(['', settings]) ?? accumulated(lean) ?? (compact && accumulated(compact)),
    smaller,
  ];
  return some.filter((change): change is Change => change !== undefined && change !== null && fits(change));
}

/** With the rows of the token table that the data use, where it has all. */
function compacted(settings: PhaseSettings, rows: number | undefined): Change | null {
  if (rows === undefined || settings.batches.vocabulary !== null) return null;
  const { model } = settings;
  return ['"vocabulary": "compact"', { ...settings, model: { ...model, text: { ...model.text, vocabulary: rows } } }];
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(bytes < 10e9 ? 1 : 0)} GB`;
