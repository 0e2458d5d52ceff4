import { expect, it } from 'vitest';
import { recipeEvaluationKey, recipeSheetKey } from '../../src/checkpoint/keys.ts';

it('the sheet of an evaluation lies beside its figures, whatever its run and its phase are called', () => {
  const figures = recipeEvaluationKey({ run: 'evaluation-3', phase: 'evaluation-0a.json', hash: '0123456789abcdef' });
  expect(figures).toBe('runs/evaluation-3/evaluation-0a.json/evaluation-0123456789abcdef.json');
  expect(recipeSheetKey(figures)).toBe('runs/evaluation-3/evaluation-0a.json/sheet-0123456789abcdef.json');
});
