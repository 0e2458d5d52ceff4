import { expect, it } from 'vitest';
import { recipeEvaluationKey, recipeSheetKey } from '../../src/checkpoint/keys.ts';

it('the sheet of an evaluation lies beside its figures, whatever its run and its phase are called', () => {
  const at = { run: 'evaluation-3', phase: 'evaluation-0a.json' };
  expect(recipeEvaluationKey(at, '0123456789abcdef')).toBe(
    'runs/evaluation-3/evaluation-0a.json/evaluation-0123456789abcdef.json',
  );
  expect(recipeSheetKey(at, '0123456789abcdef')).toBe(
    'runs/evaluation-3/evaluation-0a.json/sheet-0123456789abcdef.json',
  );
});
