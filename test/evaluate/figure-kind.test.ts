import { expect, it } from 'vitest';
import { isCount, isShare } from '../../src/evaluate/figure-kind.ts';
import { depth } from '../../src/metrics/depth.ts';
import { normals } from '../../src/metrics/normals.ts';

it('of errors of depth and of angles only shares of pixels are shares, and counts are counts wherever they stand', () => {
  const of = (figures: readonly { readonly name: string }[]) => figures.map(({ name }) => name).filter(isShare);
  const sums = new Float64Array(32).fill(1);
  expect(of(depth().figures(sums))).toEqual(['a1', 'a2', 'a3']);
  // Dots part the names of a path, so that a result has another character there.
  const angles = normals()
    .figures(sums)
    .map(({ name }) => ({ name: name.replace('.', '_') }));
  expect(of(angles)).toEqual(['within_11_25', 'within_22_5', 'within_30']);
  expect(['by_language.en.CIDEr', 'train_loss', 'mean.text_to_image.r1', 'acc@0.5'].map(isShare)).toEqual([
    ...[false, false, true, true],
  ]);
  expect(['points', 'income.by.Q1.examples', 'mIoU', 'CIDEr', 'answers.questions'].map(isCount)).toEqual([
    ...[true, true, false, false, true],
  ]);
});
