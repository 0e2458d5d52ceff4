import { describe, expect, it } from 'vitest';
import { CorruptExample } from '../../../src/data/example/corrupt-example.ts';
import { parseTruth } from '../../../src/data/example/truth.ts';

const truthOf = (value: unknown) => parseTruth(Buffer.from(JSON.stringify(value)));

describe('what an example says for evaluation', () => {
  it('is read field by field, and nothing is made up', () => {
    const said = {
      groups: { region: 'Africa', income: 1 },
      regions: [{ caption: 'the left dog', box: [0.1, 0.2, 0.5, 0.6] }],
      objects: [
        { category: 'dog', box: [0, 0, 1, 1], area: 12.5 },
        { category: 'crowd', box: [0, 0, 0.5, 0.5], crowd: 1 },
      ],
      absent: ['cat'],
      partial: ['person'],
      questions: [{ question: 'how many?', answers: [2, 'two'] }],
      place: [-1.3, 36.8],
      captions: { en: ['a dog'] },
    };
    expect(truthOf(said)).toEqual({
      groups: { region: 'Africa', income: '1' },
      regions: said.regions,
      objects: [
        { category: 'dog', box: [0, 0, 1, 1], area: 12.5 },
        { category: 'crowd', box: [0, 0, 0.5, 0.5], crowd: true },
      ],
      absent: ['cat'],
      partial: ['person'],
      questions: [{ question: 'how many?', answers: ['2', 'two'] }],
      place: [-1.3, 36.8],
    });
    expect(truthOf({ captions: { en: ['a dog'] } })).toEqual({});
    expect(parseTruth(Buffer.from('a caption'))).toEqual({});
  });

  it.each([
    [{ groups: ['Africa'] }, 'groups is not an object of at most 50 names, such as {"region": "Africa"}'],
    [{ groups: { region: null } }, 'groups.region is not a text of at most 2000 characters'],
    [{ objects: {} }, 'objects is not a list of at most 1000'],
    [
      { objects: [{ category: 'dog', box: [0, 0, 0, 1] }] },
      'objects.0.box is not [top, left, bottom, right] in shares of the image',
    ],
    [{ objects: [{ box: [0, 0, 1, 1] }] }, 'objects.0.category is not a text of at most 2000 characters'],
    [
      { objects: [{ category: 'dog', box: [0, 0, 1, 1], area: -1 }] },
      'objects.0.area is not a number of square pixels',
    ],
    [{ objects: [{ category: 'dog', box: [0, 0, 1, 1], crowd: 'no' }] }, 'objects.0.crowd is not true or false'],
    [{ absent: [''] }, 'absent.0 is not a text of at most 2000 characters'],
    [{ questions: [{ question: 'how?', answers: [] }] }, 'questions.0.answers is not a list of 1 to 1000 texts'],
    [{ place: [91, 0] }, 'place is not [latitude, longitude] in degrees'],
  ])('is refused with its field: %j', (said, problem) => {
    expect(() => truthOf(said)).toThrow(new CorruptExample(problem));
  });
});
