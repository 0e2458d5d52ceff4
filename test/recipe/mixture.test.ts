import { describe, expect, it } from 'vitest';
import { parseRecipe, readRecipe } from '../../src/recipe/parse.ts';
import { dataOf } from '../../src/recipe/settings.ts';
import { languagesOf } from '../../src/recipe/sources.ts';

const size = { width: 32, depth: 1, mlp: 64, heads: 2 };
const recipe = (data: object, phase: object = {}) => ({
  version: 1,
  model: { vision: { size, patch: 8, resolution: 16 }, text: { size } },
  data,
  schedule: { total: { steps: 10 } },
  phases: [
    { name: 'first', batch: 4 },
    { name: 'second', from: 'first', batch: 4, window: { from: { steps: 5 } }, ...phase },
  ],
});
const web = { name: 'web', train: 'd/web', weight: 3 };
const alt = { name: 'alt', train: ['d/a', 'd/b'], weight: 1, read: { captions: 'txt' } };
const mixture = [web, alt];
const en = { language: 'en', weight: 1 };
const whole = { scale: [1, 1], shift: 0 };
const problems = (data: object, phase?: object) =>
  readRecipe(recipe(data, phase)).problems.map(({ message }) => message);

describe('a mixture', () => {
  it('stands in the place of train, and is that of every phase that says nothing else', () => {
    const parsed = parseRecipe(
      recipe({ mixture }, { data: { train: 'd/clean', captions: [{ language: 'de', weight: 1 }] } }),
    );
    const [first, second] = parsed.phases.map((phase) => dataOf(parsed, phase));
    expect(first).toMatchObject({ train: [], mixture: [{ name: 'web' }, { name: 'alt', read: { captions: 'txt' } }] });
    expect(second).toMatchObject({ train: 'd/clean' });
    expect(second).not.toHaveProperty('mixture');
    expect(languagesOf({ ...first!, mixture: [{ ...web, languages: [{ language: 'fr', weight: 1 }] }, web] })).toEqual([
      'fr',
      'en',
    ]);
    const other = parseRecipe(recipe({ train: 'd/all', read: { captions: 'txt' } }, { data: { mixture } }));
    expect(dataOf(other, other.phases[1]!)).toMatchObject({ train: [], mixture: [{}, {}] });
    expect(dataOf(other, other.phases[1]!)).not.toHaveProperty('read');
  });

  it.each<[string, object, RegExp, object?]>([
    ['no data', {}, /^data.train is missing; needed: a key prefix .*; or a mixture$/],
    [
      'a train beside it',
      { train: 'd/x', mixture },
      /^data.train is given beside a mixture.*one of the two is allowed$/,
    ],
    ['a read beside it', { mixture, read: { captions: 'txt' } }, /^data.read is given beside a mixture/],
    [
      'weights of some',
      { mixture: [web, { ...alt, weight: undefined }] },
      /^data.mixture has weights, and alt has none/,
    ],
    ['weights and an exponent', { mixture, mixtureAlpha: 0.3 }, /^data.mixtureAlpha is given beside weights/],
    [
      'an exponent alone',
      { train: 'd/x', mixtureAlpha: 0.3 },
      /^data.mixtureAlpha is given; it is allowed with a mixture$/,
    ],
    ['a name twice', { mixture: [web, { ...alt, name: 'web' }] }, /^data.mixture.1.name is "web" again/],
    [
      'a place twice',
      { mixture: [{ ...web, train: ['d/web', 'd/web/a'] }] },
      /^data.mixture.0.train names "d\/web\/a" twice/,
    ],
    ['what is evaluated on', { mixture, evaluation: 'd/web/x' }, /outside of data.mixture.0.train "d\/web"/],
    [
      'a wrong mapping',
      { mixture: [{ ...alt, read: { captions: 'txt', field: 'x' } }] },
      /^data.mixture.0.read.field is given/,
    ],
    [
      'languages of both kinds',
      { mixture: [{ ...web, captions: [{ language: 'en', weight: 1 }], languages: [{ language: 'de', weight: 1 }] }] },
      /^data.mixture.0.languages is given beside captions/,
    ],
    [
      'a phase that reads it otherwise',
      { mixture },
      /^phases.second.data has read of its own for the mixture of data/,
      { data: { read: { captions: 'txt' } } },
    ],
    [
      'stored scores of texts that are drawn anew each time',
      { mixture, labelShare: 1, augment: whole },
      /^data.mixture.1.read.draw is "one"; with "scoring": "stored" .*; "first" is allowed$/,
      { curation: { teacher: 'first', chunks: 2 } },
    ],
    [
      'stored scores of languages that are not named',
      { mixture: [{ ...web, languages: [en, { language: 'other', weight: 1 }] }], labelShare: 1, augment: whole },
      /^data.mixture.0.languages is with "other"; with "scoring": "stored" .*; named languages are allowed$/,
      { curation: { teacher: 'first', chunks: 2 } },
    ],
    [
      'regions beside it',
      { mixture, regions: 'd/found' },
      /^data.regions is given beside a mixture; each of its sources may have its own regions/,
    ],
  ])('is refused with %s, in one sentence', (_, data, message, phase) => {
    expect(problems(data, phase)).toEqual([expect.stringMatching(message)]);
  });
});
