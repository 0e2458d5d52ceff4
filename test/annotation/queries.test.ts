import { describe, expect, it } from 'vitest';
import { bestTemplates, canonical, inTemplate, ngramsOf, ngramsOfAll } from '../../src/annotation/queries.ts';
import { genericWords, stopWords } from '../../src/annotation/words.ts';
import { randomStream } from '../../src/runtime/random.ts';

/** OWLv2, A.2, line by line, with NLTK's everygrams written out; of queries that come again the first counts. */
function slowly(words: readonly string[], longest: number, most: number): string[] {
  const kept = words.filter((word) => !genericWords.has(word));
  const every: string[][] = [];
  for (let start = 0; start < kept.length; start++)
    for (let length = 1; length <= longest && start + length <= kept.length; length++)
      every.push(kept.slice(start, start + length));
  const said = every.filter((ngram) => !ngram.every((word) => stopWords.has(word)));
  return [...new Set(said.map((ngram) => ngram.join(' ')))].slice(0, most);
}

describe('queries of a caption', () => {
  it('are its n-grams, as in the first figure of OWLv2', () => {
    expect(ngramsOf('Monarch on a Zinnia', 10, 300)).toEqual([
      ...['monarch', 'monarch on', 'monarch on a', 'monarch on a zinnia'],
      ...['on a zinnia', 'a zinnia', 'zinnia'],
    ]);
  });

  it('lack what its second figure lacks: the generic words before, so that words come together', () => {
    const queries = ngramsOf('Archivo: Red script Palestine flag.svg', 10, 300);
    expect(queries).toContain('archivo red script');
    expect(queries).toContain('script palestine flag');
    expect(queries.some((query) => query.includes('svg'))).toBe(false);
    expect(ngramsOf('stock photo of a dog, royalty free image', 10, 300)).toEqual(['of a dog', 'a dog', 'dog']);
  });

  it('equal those of a slow loop for 500 captions', () => {
    const words = ['the', 'of', 'and', 'photo', 'jpg', 'dog', 'cat', 'red', 'a', 'on', 'c3', '2005'];
    for (let i = 0; i < 500; i++) {
      const random = randomStream(1, 'captions', i);
      const caption = Array.from({ length: random.below(60) }, () => words[random.below(words.length)]!);
      const [longest, most] = [1 + random.below(12), 1 + random.below(400)];
      expect(ngramsOf(caption.join(' '), longest, most)).toEqual(slowly(caption, longest, most));
    }
  });

  it('are 300 at most, each of 10 words at most, and none for a caption that says nothing', () => {
    const long = Array.from({ length: 100_000 }, (_, i) => `word${i}`).join(' ');
    const queries = ngramsOf(long, 10, 300);
    expect([queries.length, queries[299], Math.max(...queries.map((query) => query.split(' ').length))]).toEqual([
      ...[300, Array.from({ length: 10 }, (_, i) => `word${29 + i}`).join(' '), 10],
    ]);
    for (const nothing of ['', '  ', '...!', 'the of and', 'free stock photo', '-- -'])
      expect(ngramsOf(nothing, 10, 300)).toEqual([]);
  });

  it('of several captions take one of each in turn', () => {
    expect(ngramsOfAll(['red dog', 'the cat', 'dog'], 10, 4)).toEqual(['red', 'the cat', 'dog', 'red dog']);
    expect(ngramsOfAll(['red dog', 'the cat', 'dog'], 10, 300)).toEqual(['red', 'the cat', 'dog', 'red dog', 'cat']);
    expect(ngramsOfAll([], 10, 300)).toEqual([]);
  });
});

describe('a text', () => {
  it('is asked in lower case, without punctuation, in its own script', () => {
    expect(canonical('  Suit (Clothing)--T-shirt, U.S.A. ')).toBe('suit clothing t-shirt u s a');
    expect(canonical('Größe: 東京タワー, ਪੰਜਾਬੀ!')).toBe('größe 東京タワー ਪੰਜਾਬੀ');
  });

  it('in the seven templates of CLIP is what OWL-ViT is asked', () => {
    expect(bestTemplates.map((template) => inTemplate('$& dog', template))).toEqual([
      ...['itap of a dog', 'a bad photo of the dog', 'a origami dog', 'a photo of the large dog'],
      ...['a dog in a video game', 'art of the dog', 'a photo of the small dog'],
    ]);
  });
});
