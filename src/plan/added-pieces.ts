import { pieceProblem } from '../data/example/added-pieces.ts';
import { loadTokenizer, rulesOf } from '../data/example/tokenizer.ts';
import type { Problem } from '../recipe/problem.ts';
import type { Recipe } from '../recipe/schema.ts';
import { addedTokensOf, writtenModel } from '../recipe/settings.ts';

/**
 * Added tokens that the tokenizer of their model has as one piece already: those that a phase adds, and all of a model from
 * scratch. It is loaded where there are some.
 */
export function pieceProblems(recipe: Recipe): Problem[] {
  return recipe.phases.flatMap((phase, i) => {
    if (!writtenModel(recipe, phase)) return [];
    const all = addedTokensOf(recipe, phase);
    const own = phase.from === undefined ? all : (phase.text?.addedTokens ?? []);
    if (own.length === 0) return [];
    const tokenizer = loadTokenizer(rulesOf({ text: { addedTokens: all.slice(0, -own.length) } }));
    const field = phase.from === undefined ? 'model.text.addedTokens' : `phases.${i}.text.addedTokens`;
    const problem = own.map((token) => pieceProblem(token, tokenizer)).find((found) => found !== null);
    return problem ? [{ fields: [field], message: `${field} ${problem}` }] : [];
  });
}
