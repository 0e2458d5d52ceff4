import { expect, it } from 'vitest';
import type { PartExample } from '../../../src/data/batches/batch-part.ts';
import { groupsPart } from '../../../src/data/batches/groups-part.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';

/** What the part looks at of an example. */
const example = (text: string, concept: string, shade: number, width = 2) => {
  const pixels = { width, height: 2, data: Buffer.alloc(3 * 2 * width, shade) };
  return { text, meta: { key: 'k', captions: {}, concept }, pixels } as unknown as PartExample;
};

function groupsOf(one: PartExample): number[] {
  const groups = new Int32Array(3);
  void groupsPart.fill(one, {}, {} as BatchPlan, { groups });
  return [...groups];
}

it('examples have a number in common where they have their text, their class or their picture in common, and only there', () => {
  const [text, concept, picture] = groupsOf(example('a cat', 'cat', 7));
  expect(groupsOf(example('A CAT ', 'cat', 7))).toEqual([text, concept, picture]);
  expect(groupsOf(example('a cat', 'dog', 8))).toEqual([
    text,
    expect.not.closeTo(concept!),
    expect.not.closeTo(picture!),
  ]);
  // A text is no class, and the same bytes in another shape are another picture.
  expect(new Set(groupsOf(example('cat', 'cat', 7)))).toHaveProperty('size', 3);
  const [, , wide] = groupsOf({
    ...example('a cat', 'cat', 7, 4),
    pixels: { width: 4, height: 1, data: Buffer.alloc(12, 7) } as never,
  });
  expect(wide).not.toBe(picture);
  for (const number of [text, concept, picture, wide]) expect(number).toBeGreaterThanOrEqual(0);
});
