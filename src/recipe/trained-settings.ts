import type { PhaseSettings } from './phase-settings.ts';
import { mostOf } from './replicas.ts';
import { textBankOf } from './text-bank.ts';

/** Settings as a trainer has them: no graph depends on how a phase is shared, but for its negatives. */
export function trainedSettings({ replicas, ...settings }: PhaseSettings): PhaseSettings {
  const { sigmoid } = settings.objectives;
  const number = replicas ? mostOf(replicas) : 1;
  // One batch is the whole: the graph is that of a phase without replicas.
  if (!sigmoid || !replicas || number === 1 || replicas.negatives === 'local') return settings;
  const negatives =
    replicas.negatives === 'reweighted'
      ? { batches: number }
      : { bank: textBankOf(number, settings.batches.batch * replicas.steps) };
  return { ...settings, objectives: { ...settings.objectives, sigmoid: { ...sigmoid, ...negatives } } };
}
