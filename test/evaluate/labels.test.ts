import { describe, expect, it } from 'vitest';
import { captionsThatCount, ImageCaptions, mostCaptions } from '../../src/evaluate/image-captions.ts';
import { Labels } from '../../src/evaluate/labels.ts';
import { readSchema } from '../../src/recipe/reading.ts';

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

describe('captions of images', () => {
  it('all count, each for its image, up to a number that no set for retrieval has', () => {
    const captions = new ImageCaptions(['en', 'de'], mostCaptions);
    captions.add(0, { captions: { en: ['a', 'b'] } });
    captions.add(1, { captions: { de: ['c'] } });
    captions.add(2, { captions: { en: Array.from({ length: 20 }, (_, i) => `${i}`) } });
    const { texts, concepts } = captions.in('en');
    expect(texts.slice(0, 4)).toEqual(['a', 'b', '0', '1']);
    expect([texts.length, ...concepts.slice(0, 3)]).toEqual([18, 0, 0, 2]);
    expect(captions.in('de')).toEqual({ texts: ['c'], concepts: Int32Array.of(1) });
  });

  it('count one by one where training draws them so, and not where they are labels of classes, or tags', () => {
    const of = (read: object) => captionsThatCount(readSchema.parse(read));
    expect([of({ captions: 'lines' }), of({ captions: 'json', draw: 'first' })]).toEqual([mostCaptions, 1]);
    expect([of({ captions: 'class', class: 'txt' }), of({ captions: 'json', draw: 'joined' })]).toEqual([null, null]);
    expect([of({ captions: 'own' }), captionsThatCount(undefined)]).toEqual([null, null]);
  });
});
