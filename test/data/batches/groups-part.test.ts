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

it('where any text of an example counts, what was drawn of one is found among the first sixteen of another', () => {
  const of = (said: string, ...texts: string[]) => {
    const one = { ...example(`a photo of ${said}`, said, 7), said };
    const groups = new Int32Array(20);
    const meta = { ...one.meta, captions: { en: texts.slice(0, 1), de: texts.slice(1) } };
    void groupsPart.fill({ ...one, meta }, { anyText: true }, {} as BatchPlan, { groups });
    return { whole: groups[0], drawn: groups[3], own: new Set(groups.subarray(4)) };
  };
  const [red, round] = [of('Red', 'red', 'round'), of('round', 'round', 'wooden')];
  expect(red.own.has(round.drawn!)).toBe(true);
  expect(round.own.has(red.drawn!)).toBe(false);
  expect(red.own.has(red.drawn!)).toBe(true);
  expect(red.own.size).toBe(2);
  expect(red.whole).not.toBe(red.drawn);
  const many = Array.from({ length: 20 }, (_, i) => `text ${i}`);
  expect(of('text 0', ...many).own.size).toBe(16);
});

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
