import { isAdapter } from '../model/adapters.ts';
import { modelDifferences } from '../model/compare.ts';
import { tokenTable } from '../model/parameters.ts';
import type { ModelConfig, TowerSize } from '../model/sizes.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { PhaseState } from './phase-state.ts';

/** What a file holds, by name. */
type Shapes = ReadonlyMap<string, { readonly shape: readonly number[] }>;

/**
 * Holds the tensors of a parent's `model.safetensors` against the towers of a phase, after what resampling bridges. A
 * tower of fewer layers would train, and what it lacks would be gone without a word. RecipeInvalid, since the file was
 * verified: trying again, or fetching it again, can't help.
 *
 * @param said the model by the config.json beside the file, if there is one: no tensor tells how many heads a tower has
 */
export function checkTowers(
  tensors: Shapes,
  { towers }: PhaseState,
  wanted: ModelConfig,
  file: string,
  said: ModelConfig | null,
): void {
  const shapes = new Map(towers.map(({ name, shape }) => [name, shape]));
  const extra = [...tensors.keys()].filter((name) => !shapes.has(name));
  const missing = [...shapes.keys()].filter((name) => !tensors.has(name));
  const other = [...shapes].filter(([name, shape]) => {
    const held = tensors.get(name)?.shape;
    // Of the table of tokens a file holds more rows than are trained; it is read by row.
    return held !== undefined && name !== tokenTable && held.join() !== shape.join();
  });
  const tensor = other[0];
  const differences = modelDifferences(towersOf(tensors, said ?? wanted), wanted).filter(({ resampled }) => !resampled);
  if (tensor === undefined && differences.length + extra.length + missing.length === 0) return;
  const problems = [
    ...differences.map(({ field, held, wanted }) => `model.${field} is ${wanted}, and the checkpoint has ${held}`),
    ...(extra.length > 0 ? [`it holds ${some(extra)}, which the recipe's model lacks`] : []),
    ...(missing.length > 0 ? [`it lacks ${some(missing)}`] : []),
    ...(tensor ? [`its ${tensor[0]} is of [${tensors.get(tensor[0])!.shape}], and [${tensor[1]}] is wanted`] : []),
  ];
  throw new RunnerError(
    'RecipeInvalid',
    `${file} holds another model than the recipe says: ${problems.join('; ')}. The model comes from the checkpoint: leave "model" out, or say the same`,
  );
}

/**
 * Holds what training kept against the objectives of a phase: one that both phases have must have the same parameters,
 * or part of a decoder would be lost, or start anew beside the rest.
 */
export function checkObjectives(held: ReadonlySet<string>, { objectives, parameters, towers }: PhaseState, of: string) {
  if (objectives.length === 0) return;
  const inTowers = new Set(towers.map(({ name }) => name));
  // Adapters of another kind have become part of the towers.
  const added = parameters.map(({ name }) => name).filter((name) => !inTowers.has(name) && !isAdapter(name));
  const known = new Set(added);
  const parts = new Set(added.map(partOf));
  for (const part of parts) {
    const there = [...held].filter((name) => partOf(name) === part);
    if (there.length === 0) continue;
    const extra = there.filter((name) => !known.has(name));
    const missing = added.filter((name) => partOf(name) === part && !held.has(name));
    if (extra.length + missing.length === 0) continue;
    const problem = extra.length > 0 ? `holds ${some(extra)}, which the recipe leaves out` : `lacks ${some(missing)}`;
    throw new RunnerError(
      'RecipeInvalid',
      `the checkpoint in ${of} ${problem}: an objective that a phase shares with the one that it goes on from keeps its sizes`,
    );
  }
}

/** A tensor of an objective that has other sizes in the recipe. */
export const otherShape = (file: string, name: string, held: readonly number[], wanted: readonly number[]) =>
  new RunnerError(
    'RecipeInvalid',
    `${name} in ${file} is of [${held}], and the recipe makes it [${wanted}]: an objective that a phase shares with the one that it goes on from keeps its sizes`,
  );

/** Which objective's a parameter is, by the first part of its name; those of the state around it have a slash. */
const partOf = (name: string) => (name.includes('/') ? '' : name.split('.')[0]!);

/** The model that tensors tell of; heads, and what can be resampled, as in `other`. */
function towersOf(tensors: Shapes, other: ModelConfig): ModelConfig {
  const shape = (name: string) => tensors.get(name)?.shape ?? [];
  const tower = (of: 'vision_model' | 'text_model', { heads }: TowerSize): TowerSize => {
    let depth = 0;
    while (tensors.has(`${of}.encoder.layers.${depth}.layer_norm1.weight`)) depth++;
    const [mlp = 0, width = 0] = shape(`${of}.encoder.layers.0.mlp.fc1.weight`);
    return { width, depth, mlp, heads };
  };
  const [length = 0] = shape('text_model.embeddings.position_embedding.weight');
  return {
    vision: { ...other.vision, ...tower('vision_model', other.vision) },
    text: { ...other.text, ...tower('text_model', other.text), length },
  };
}

function some(names: readonly string[]): string {
  return names.length === 1 ? names[0]! : `${names[0]} and ${names.length - 1} more tensors`;
}
