import { expect, test } from 'vitest';
import { naflexPatches } from '../../../src/data/views/naflex-resize.ts';
import { seenPatches } from '../../../src/evaluate/features/view.ts';
import { tinySettings } from '../../train/settings.ts';

test('the patches of a picture that are no padding are known by its size', () => {
  const { model } = tinySettings;
  const naflex = { ...model, vision: { ...model.vision, kind: 'naflex' as const } };
  const sizes = [
    [40, 40],
    [200, 10],
    [9, 77],
    [31, 17],
  ] as const;
  for (const length of [9, 25]) {
    const masks = sizes.map(([width, height]) => {
      const data = new Uint8Array(3 * width * height).fill(90);
      return naflexPatches({ data, width, height }, model.vision.patch, length).mask.reduce((sum, one) => sum + one, 0);
    });
    expect(seenPatches(naflex, length, sizes)).toEqual(masks);
    expect(new Set(masks).size).toBeGreaterThan(1);
  }
  expect(seenPatches(model, 8, sizes)).toBeUndefined();
});
