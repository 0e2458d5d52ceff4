import { expect, it } from 'vitest';
import type { PartExample } from '../../../src/data/batches/batch-part.ts';
import { picturesPart } from '../../../src/data/batches/pictures-part.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';

/** The numbers of an example that shows `side` x 2 pixels of one shade, all of them or from `left` on. */
function picture(shade: number, { width = 4, left = 0, key = 'k' } = {}): number[] {
  const pixels = { width, height: 8 / width, data: Buffer.alloc(24, shade) };
  const crop = { x: left, y: 0, width: 2, height: 2 };
  const pictures = new Int32Array(4);
  const example = { pixels, crop, meta: { key } } as unknown as PartExample;
  void picturesPart.fill(example, {}, {} as BatchPlan, { pictures });
  return [...pictures];
}

it('examples have the same numbers where the same pixels are seen of them, whatever they are called, and only there', () => {
  expect(picture(7, { key: 'other' })).toEqual(picture(7));
  const all = [picture(7), picture(8), picture(7, { width: 2 }), picture(7, { left: 1 })];
  expect(new Set(all.map(String)).size).toBe(4);
});
