import { describe, expect, it } from 'vitest';
import type { PartExample } from '../../../src/data/batches/batch-part.ts';
import { hardNegativesPart } from '../../../src/data/batches/hard-negatives-part.ts';
import { parseMeta } from '../../../src/data/example/example.ts';
import { parseMapped } from '../../../src/data/example/mapped.ts';
import { loadTokenizer } from '../../../src/data/example/tokenizer.ts';
import type { ExampleMeta } from '../../../src/data/example/types.ts';
import type { BatchPlan } from '../../../src/recipe/batch-plan.ts';

const textLength = 8;
const plan = { seed: 5, phase: 'tune', textLength } as BatchPlan;
const tokenizer = loadTokenizer();

/** What an example's texts come to, and which count. */
function drawn(meta: ExampleMeta, { k = 0, texts = 2, ...caption }: Partial<PartExample> & { texts?: number } = {}) {
  const out = { negativeTokens: new Int32Array(texts * textLength), negativeWeights: new Float32Array(texts) };
  const example = { k, meta, text: '', language: 'en', tokenizer, ...caption } as unknown as PartExample;
  void hardNegativesPart.fill(example, { texts }, plan, out);
  const said = Array.from({ length: texts }, (_, i) =>
    tokenizer.text([...out.negativeTokens.subarray(i * textLength, (i + 1) * textLength)]),
  );
  return { said, weights: [...out.negativeWeights] };
}

const metaOf = (negatives: unknown, captions: unknown = { en: ['A dog'] }) =>
  parseMeta(Buffer.from(JSON.stringify({ captions, negatives })), 'one');

describe('texts that are named as wrong for a picture', () => {
  it('are drawn by the example and its turn, each once, and as few as there are', () => {
    expect(drawn(metaOf(['a cat']))).toEqual({ said: ['a cat', ''], weights: [1, 0] });
    expect(drawn(metaOf(undefined))).toEqual({ said: ['', ''], weights: [0, 0] });
    const many = metaOf(['a cat', 'a cow', 'a hen', 'A Cat']);
    const turns = Array.from({ length: 40 }, (_, k) => drawn(many, { k }).said.join());
    expect(turns).toEqual(Array.from({ length: 40 }, (_, k) => drawn(many, { k }).said.join()));
    // All pairs in either order come up, and no text twice: six of three.
    expect(new Set(turns).size).toBe(6);
    for (const turn of turns) expect(new Set(turn.split(',')).size).toBe(2);
  });

  it('are none that are right for it as well, and those of its language where they are given by language', () => {
    expect(drawn(metaOf(['a dog ', 'a cat'])).said).toEqual(['a cat', '']);
    const byLanguage = metaOf({ en: ['a cat'], de: ['eine katze'] }, { en: ['a dog'], de: ['ein hund'] });
    expect(drawn(byLanguage, { language: 'de' }).said).toEqual(['eine katze', '']);
    expect(drawn(byLanguage, { language: 'fr' }).weights).toEqual([0, 0]);
  });

  it('stand in the template that the caption stands in', () => {
    expect(drawn(metaOf(['cat']), { template: 'a photo of a {}', text: 'a photo of a dog', said: 'dog' }).said[0]).toBe(
      'a photo of a cat',
    );
  });

  it('are read of the JSON of others too', () => {
    const read = { captions: 'json', language: 'en' } as const;
    const meta = parseMapped(read, 'x', Buffer.from('{"caption": "a dog", "negatives": ["a cat"]}'), undefined);
    expect(drawn(meta).said[0]).toBe('a cat');
  });

  it('make an example unusable where they are none, with a sentence; who does not ask for them never looks', () => {
    expect(() => drawn(metaOf('a cat'))).toThrow(/^negatives is no list of texts, such as/);
    // Whatever was drawn of it: an example must not be broken by the language of a turn.
    const half = metaOf({ en: ['a cat'], de: 'eine katze' }, { en: ['a dog'], de: ['ein hund'] });
    for (const language of ['en', 'de', 'fr']) expect(() => drawn(half, { language })).toThrow(/^negatives is no list/);
    expect(() => drawn(metaOf([['a cat']]))).toThrow(/^negatives.0 is not a text: a list/);
    expect(metaOf('a cat').captions).toEqual({ en: ['A dog'] });
  });
});
