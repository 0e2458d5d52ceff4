import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { mostOf } from '../src/recipe/replicas.ts';

/** Settings as a trainer has them: no graph depends on how a phase is shared, but for what a negative weighs. */
export function trainedSettings({ replicas, ...settings }: PhaseSettings): PhaseSettings {
  const { sigmoid } = settings.objectives;
  const batches = replicas?.negatives === 'reweighted' ? mostOf(replicas) : 1;
  // One batch is the whole: the graph is that of a phase without replicas.
  if (!sigmoid || batches === 1) return settings;
  return { ...settings, objectives: { ...settings.objectives, sigmoid: { ...sigmoid, batches } } };
}
