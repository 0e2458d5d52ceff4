import { describe, expect, it } from 'vitest';
import { Labels } from '../../src/evaluate/labels.ts';

describe('labels', () => {
  it('are the first caption of a language, of the first example of a concept that has one', () => {
    const labels = new Labels(['en', 'de', 'fr']);
    const added = [
      { concept: 'cat', captions: { en: ['cat', 'pet'] } },
      { concept: 'dog', captions: { de: ['Hund'], en: ['dog'] } },
      { concept: 'cat', captions: { en: ['a cat'], de: ['Katze'] } },
    ].map((meta) => labels.add(meta));
    expect(added).toEqual([0, 1, 0]);
    expect(labels.in('en')).toEqual({ texts: ['cat', 'dog'], concepts: Int32Array.of(0, 1) });
    expect(labels.in('de')).toEqual({ texts: ['Katze', 'Hund'], concepts: Int32Array.of(0, 1) });
    expect(labels.in('fr')).toEqual({ texts: [], concepts: new Int32Array(0) });
  });

  it('are not taken from what every object has', () => {
    const labels = new Labels(['constructor']);
    labels.add({ concept: 'toString', captions: {} });
    expect(labels.in('constructor').texts).toEqual([]);
  });
});
