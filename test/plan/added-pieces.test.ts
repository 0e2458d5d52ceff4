import { expect, it } from 'vitest';
import { pieceProblems } from '../../src/plan/added-pieces.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';

/** Of a model from scratch with tokens, and of one phase that adds some to it. */
function problemsOf(scratch: readonly string[] | undefined, tokens: readonly string[] | undefined): string[] {
  const phases = [
    { name: 'base', batch: 4, window: { to: { percent: 50 } } },
    ...(tokens ? [{ name: 'tune', batch: 4, from: 'base', text: { addedTokens: tokens } }] : []),
  ];
  const recipe = parseRecipe({
    version: 1,
    model: {
      vision: { size: 'mu', patch: 4, resolution: 8 },
      text: { length: 8, ...(scratch && { addedTokens: scratch }) },
    },
    data: { train: 'data/tiny' },
    schedule: { total: { steps: 100 } },
    phases,
  });
  return pieceProblems(recipe).map(({ message }) => message);
}

it.each([
  ['a word that texts have as one piece', 'dog'],
  // Lower-cased it is two, and transformers would give it the id of the name in capitals.
  ['a name in capitals that no text comes to', 'ISSN'],
  ['a name in angle brackets', '<mask>'],
])('%s is no token to add, to a model from scratch or in a phase', (_, token) => {
  const told = (field: string) =>
    new RegExp(
      `^${field} has "${token}", which is one piece already, with the id \\d+; what is more than one is allowed$`,
    );
  expect(problemsOf(['zyxxyz', token], undefined)).toEqual([expect.stringMatching(told('model.text.addedTokens'))]);
  expect(problemsOf(undefined, ['zyxxyz', token])).toEqual([expect.stringMatching(told('phases.1.text.addedTokens'))]);
});

it('what is of several pieces is, also after tokens of before, and those are not told of twice', () => {
  expect(problemsOf(['<sku>'], ['zyxxyz'])).toEqual([]);
  expect(problemsOf(['dog'], ['zyxxyz'])).toHaveLength(1);
});
