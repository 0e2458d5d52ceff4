import { expect, test } from 'vitest';
import { chooseCaption } from '../../../src/data/example/captions.ts';
import { CorruptExample } from '../../../src/data/example/corrupt-example.ts';
import { type ReadSettings, readSchema } from '../../../src/recipe/reading.ts';
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

/** Two alt texts, a recaption, and a title in another language. */
const fromFields = {
  ...meta,
  captions: { en: ['alt 1', 'alt 2', 'long'], de: ['Titel'] },
  fields: { en: [0, 0, 1], de: [2] },
};
const en = [{ language: 'en', weight: 1 }];
const drawnFrom = (of: typeof fromFields, read: ReadSettings, captions = en, draws = 8000) => {
  const found: Record<string, number> = {};
  for (let k = 0; k < draws; k++) {
    const drawn = () => chooseCaption(of, { captions, labelShare: 0.5, read }, randomStream(0, 'caption/pretrain', k));
    const { text } = drawn();
    expect(drawn().text).toBe(text);
    found[text] = (found[text] ?? 0) + 1;
  }
  return found;
};
const fields = [{ field: 'alt' }, { field: 'recaption', weight: 3 }, { field: 'title', weight: 100 }];

test('of several fields one is drawn by weight among those that the example has, then one of its texts', () => {
  const read = (more: object = {}) => readSchema.parse({ captions: 'json', fields, ...more });
  // The title is in another language: its weight counts for nothing here.
  expect(drawnFrom(fromFields, read())).toEqual({ 'alt 1': about(1000), 'alt 2': about(1000), long: about(6000) });
  expect(drawnFrom(fromFields, read({ draw: 'first' }))).toEqual({ 'alt 1': about(2000), long: about(6000) });
  expect(drawnFrom(fromFields, read({ draw: 'joined' }))).toEqual({
    'alt 1': about(1000),
    'alt 1, alt 2': about(1000),
    long: about(6000),
  });
  const without = { ...fromFields, captions: { en: ['alt 1'], de: [] }, fields: { en: [0], de: [] } };
  expect(drawnFrom(without, read(), en, 50)).toEqual({ 'alt 1': 50 });
});

test('a text is put into one of the templates, drawn evenly, those of its field before those of all', () => {
  const templates = ['a photo of {}', 'the {}.'];
  const [alt, recaption] = [fields[0], { ...fields[1], templates: ['{}'] }];
  const read = readSchema.parse({ captions: 'json', draw: 'first', fields: [alt, recaption], templates });
  expect(drawnFrom(fromFields, read)).toEqual({
    'a photo of alt 1': about(1000),
    'the alt 1.': about(1000),
    long: about(6000),
  });
  // What a text says is no pattern, and label and tags are one text.
  const odd = { ...meta, captions: { en: ["$& {} $'", 'b'] } };
  const own = readSchema.parse({ captions: 'own', templates: ['<{}>'] });
  const drawn = (k: number) =>
    chooseCaption(odd, { captions: en, labelShare: 0.5, read: own }, randomStream(3, 'x', k));
  const texts = new Set(Array.from({ length: 40 }, (_, k) => drawn(k).text));
  expect([...texts].sort()).toEqual(["<$& {} $', b>", "<$& {} $'>"]);
  expect(drawn(0).plain).toBe(false);
});

// As the code of before fields and templates drew them.
test('what no field and no template changes is drawn as before they were there', () => {
  const read = readSchema.parse({ captions: 'json' });
  const one = readSchema.parse({ captions: 'json', fields: [{ field: 'caption' }] });
  const several = { ...meta, captions: { en: ['a', 'b', 'c'] } };
  const drawn = (own: ReadSettings, of: Parameters<typeof chooseCaption>[0]) =>
    Array.from({ length: 30 }, (_, k) =>
      chooseCaption(of, { captions: en, labelShare: 1, read: own }, randomStream(9, 'x', k)),
    );
  expect(drawn(one, several)).toEqual(drawn(read, several));
  expect(
    drawn(read, several)
      .map(({ text }) => text)
      .join(''),
  ).toBe('aabcbcaacbbcbccabbcaccbcaccacc');
});
