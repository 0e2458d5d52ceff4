import { naflexOf } from './durations.ts';
import type { Problem } from './problem.ts';
import type { Phase, Recipe } from './schema.ts';
import { dataOf } from './settings.ts';

/** Why the embeddings of pictures can't be kept in a phase. `trained`: a parameter of the image tower that it trains, if any. */
export function keptProblems(recipe: Recipe, phase: Phase, at: string, trained: string | undefined): Problem[] {
  if (phase.frozenFeatures !== 'kept') return [];
  const problem = (other: string, why: string): Problem[] => {
    const message = `${at}.frozenFeatures is "kept", and ${why}; allowed: "online", or leave it out`;
    return [{ fields: [`${at}.frozenFeatures`, other], message }];
  };
  if (trained !== undefined)
    return problem(`${at}.${phase.lora ? 'lora.in' : 'train'}`, `the phase trains ${trained} of the image tower`);
  const ofPooled = ['sigmoid', 'hardNegatives'];
  const other = Object.entries(phase.objectives).find(([name, own]) => !ofPooled.includes(name) && own !== undefined);
  if (other) return problem(`${at}.objectives`, `${other[0]} needs more of a picture than its embedding`);
  if (naflexOf(recipe, phase))
    return problem(`${at}.vision.naflex`, 'NaFlex shows a picture in another number of patches each time');
  if (phase.curation)
    return problem(`${at}.curation`, 'curation embeds its candidates with the model as it is at each step');
  if (phase.replicas)
    return problem(
      `${at}.replicas`,
      'each round of replicas begins with a model that is loaded anew, and nothing kept',
    );
  const { augment } = dataOf(recipe, phase);
  if (augment.shift > 0 || augment.scale.some((side) => side !== 1))
    return problem('data.augment', 'data.augment shows a picture otherwise each time');
  return [];
}
