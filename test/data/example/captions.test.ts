import { expect, test } from 'vitest';
import { chooseCaption } from '../../../src/data/example/captions.ts';
import { CorruptExample } from '../../../src/data/example/corrupt-example.ts';
import { randomStream } from '../../../src/runtime/random.ts';

const meta = {
  key: 'a',
  concept: 'a',
  captions: { en: ['dog', 'pet', 'animal'], de: ['Hund'], fr: ['chien'], it: ['cane'] },
};
const counts = (settings: Parameters<typeof chooseCaption>[1], draws = 8000) => {
  const found: Record<string, number> = {};
  for (let k = 0; k < draws; k++) {
    const { text } = chooseCaption(meta, settings, randomStream(0, 'caption/pretrain', k));
    found[text] = (found[text] ?? 0) + 1;
  }
  return found;
};
const about = (expected: number) => expect.toSatisfy((n: number) => Math.abs(n - expected) < 4 * Math.sqrt(expected));

test('languages come by weight, `other` being any that is not named', () => {
  const captions = [
    { language: 'en', weight: 4 },
    { language: 'de', weight: 2 },
    { language: 'other', weight: 2 },
  ];
  expect(counts({ captions, labelShare: 1 })).toEqual({
    dog: about(4000),
    Hund: about(2000),
    chien: about(1000),
    cane: about(1000),
  });
});

test('a language that the example lacks leaves its share to the others', () => {
  const captions = [
    { language: 'sw', weight: 9 },
    { language: 'de', weight: 1 },
  ];
  expect(counts({ captions, labelShare: 0.5 }, 100)).toEqual({ Hund: 100 });
});

test('the label stands alone by its share, else before its tags in any order', () => {
  expect(counts({ captions: [{ language: 'en', weight: 1 }], labelShare: 0.25 })).toEqual({
    dog: about(2000),
    'dog, pet, animal': about(3000),
    'dog, animal, pet': about(3000),
  });
});

test('an example without a caption in these languages is corrupt, with the languages in the reason', () => {
  const captions = [{ language: 'sw', weight: 1 }];
  const choose = () => chooseCaption(meta, { captions, labelShare: 1 }, randomStream(0, 'x'));
  expect(choose).toThrow(CorruptExample);
  expect(choose).toThrow('no caption in sw');
});
