import { pieceProblem } from '../data/example/added-pieces.ts';
import { loadTokenizer, rulesOf } from '../data/example/tokenizer.ts';
import type { Problem } from '../recipe/problem.ts';
import type { Recipe } from '../recipe/schema.ts';
import { addedTokensOf, writtenModel } from '../recipe/settings.ts';

/** Added tokens that the tokenizer of their model has as one piece already. It is loaded where a phase adds some. */
export function pieceProblems(recipe: Recipe): Problem[] {
  return recipe.phases.flatMap((phase, i) => {
    const own = phase.text?.addedTokens;
    if (!own || !writtenModel(recipe, phase)) return [];
    const addedTokens = addedTokensOf(recipe, phase).slice(0, -own.length);
    const tokenizer = loadTokenizer(rulesOf({ text: addedTokens.length > 0 ? { addedTokens } : {} }));
    const field = `phases.${i}.text.addedTokens`;
    const problem = own.map((token) => pieceProblem(token, tokenizer)).find((found) => found !== null);
    return problem ? [{ fields: [field], message: `${field} ${problem}` }] : [];
  });
}
