import { addedProblem } from './added-tokens.ts';
import type { Problem } from './problem.ts';
import type { Phase, Recipe } from './schema.ts';
import { addedTokensOf, modelOf, writtenModel } from './settings.ts';

/** Tokens that can't be added, and phases that can't have them. Phases whose model is not known yet are passed over. */
export function addedTokenProblems(recipe: Recipe): Problem[] {
  return recipe.phases.flatMap((phase, i) => {
    const at = `phases.${i}.text.addedTokens`;
    if (!writtenModel(recipe, phase)) return [];
    const tokens = addedTokensOf(recipe, phase);
    const own = phase.text?.addedTokens;
    if (tokens.length === 0) return [];
    // Tokens of before are told of where they are added.
    const field = own ? at : phase.from === undefined ? 'model.text.addedTokens' : null;
    const problem = field && addedProblem(tokens);
    if (problem) return [{ fields: [field], message: `${field} ${problem}` }];
    return unfit(recipe, phase, i).map(([other, without]) => ({
      fields: [other, at],
      message: `${other} is of a phase whose model has added tokens; ${without} is allowed there`,
    }));
  });
}

/** Fields that a phase can't have with them, and what it can. */
function unfit(recipe: Recipe, phase: Phase, i: number): [field: string, without: string][] {
  const at = `phases.${i}`;
  const found: [string, string][] = [];
  if (modelOf(recipe, phase).text.vocabulary === 'compact')
    found.push([`${phase.model ? `${at}.` : ''}model.text.vocabulary`, '"full"']);
  if (phase.objectives.captioning) found.push([`${at}.objectives.captioning`, 'a phase without a decoder']);
  if (phase.curation) found.push([`${at}.curation`, 'a phase without curation']);
  if (phase.lora) found.push([`${at}.lora`, 'training the weights, which train and freeze can choose,']);
  if (phase.replicas) found.push([`${at}.replicas`, 'one worker after another']);
  return found;
}
