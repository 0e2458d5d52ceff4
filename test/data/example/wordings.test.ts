import { expect, it } from 'vitest';
import { chooseCaption } from '../../../src/data/example/captions.ts';
import { loadTokenizer } from '../../../src/data/example/tokenizer.ts';
import { wordingsOf } from '../../../src/data/example/wordings.ts';
import { readSchema } from '../../../src/recipe/reading.ts';
import { randomStream } from '../../../src/runtime/random.ts';

const templates = [
  'a photo of {}',
  'a photo of the {}.',
  'itap of my {}!',
  'a ({}) in a video game.',
  '{}, seen from above',
  '"{}"',
  '{}',
  'Zeichnung:  {}  (von Hand)',
  'pre{}fix',
];
const texts = [
  'Zebras graze',
  'two animals',
  'savannah\nat dusk',
  "it's 5 o'clock",
  '(odd) ',
  '犬と猫',
  'e\u0301 👨‍👩‍👧',
  'x',
];

it('all texts that can be drawn have their tokens among those of the wordings, whatever touches them', () => {
  const tokenizer = loadTokenizer();
  const captions = [{ language: 'en', weight: 1 }];
  const reads = [
    { captions: 'own', templates },
    { captions: 'json' },
    { captions: 'json', templates },
    { captions: 'json', draw: 'joined', templates },
    { captions: 'json', fields: [{ field: 'a', templates }, { field: 'b' }], templates: ['an {}'] },
    { captions: 'json', draw: 'joined', fields: [{ field: 'a' }, { field: 'b', templates }] },
  ].map((read) => readSchema.parse(read));
  for (const read of reads) {
    const fields = read.fields && texts.map((_, i) => (i < 3 ? 0 : 1));
    for (const captioning of [false, true]) {
      const { words, wordings } = wordingsOf({ read, captioning, single: read.captions !== 'own' });
      const known = new Set([...words, ...wordings(texts, fields)].flatMap((text) => [...tokenizer.ids(text)]));
      const meta = { key: '', concept: '', captions: { en: texts }, ...(fields && { fields: { en: fields } }) };
      const drawn = new Set<string>();
      for (let k = 0; k < 400; k++)
        drawn.add(chooseCaption(meta, { captions, labelShare: 0.5, read }, randomStream(1, 'x', k)).text);
      const said = [...drawn].map((text) => (captioning ? `Cap: ${text}` : text));
      for (const text of said)
        expect(
          tokenizer.ids(text).filter((id) => !known.has(id)),
          text,
        ).toEqual([]);
      expect(said.length).toBeGreaterThan(7);
    }
  }
});
