import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import { type Replicas, replicasSchema } from '../src/recipe/replicas.ts';
import { RunnerError } from '../src/runtime/errors.ts';

/** What a phase says of its rounds, as its settings have it. */
export function replicasOf({ phase, replicas }: PhaseSettings): Replicas {
  if (replicas) return replicasSchema.parse(replicas);
  throw new RunnerError('RecipeInvalid', `phase ${phase} is not trained in rounds: its settings have no "replicas"`);
}
