import { describe, expect, it } from 'vitest';
import { formatExplained } from '../../src/commands/format-explained.ts';
import { formatComparison, formatTaskResult } from '../../src/commands/format-task-result.ts';
import { compare, compareWithIntervals } from '../../src/evaluate/explain.ts';
import { differencesOf, intervalsOf } from '../../src/evaluate/intervals.ts';
import { type EvaluationDocument, type FigureDocument, resultIn } from '../../src/evaluate/result.ts';
import { parseTask } from '../../src/evaluate/tasks/task.ts';
import { bootstrap, ofMean } from '../../src/metrics/bootstrap.ts';
import { randomStream } from '../../src/runtime/random.ts';

const task = parseTask({ version: 1, name: 'flags', data: 'data/x', evaluators: { retrieval: {} } });
const figure = (changes: Partial<FigureDocument> = {}): FigureDocument => ({
  evaluator: 'retrieval',
  view: 'px-32',
  examples: 400,
  figures: { images: 400, text_to_image: { r1: 0.25 } },
  intervals: { 'text_to_image.r1': { low: 0.21, high: 0.29 } },
  notes: ['4 pictures have no caption'],
  fingerprint: { 'text.case': 'lower', 'data.shards': 'a', 'data.sample': 'all 400', 'data.pictures': '400, b' },
  outcomes: { key: 'x.safetensors', bytes: 1, sha256: 'f' },
  ...changes,
});
const result = (...figures: FigureDocument[]): EvaluationDocument => ({
  version: 1,
  task,
  model: { name: 'base/import@0', sha256: 'a'.repeat(64) },
  figures,
});
/** 1 with a share, one of each of 400 pictures. */
const hits = (seed: number, share: number) => {
  const stream = randomStream(seed, 'hits');
  const pictures = Int32Array.from({ length: 400 }, (_, i) => i);
  return { values: Float32Array.from(pictures, () => (stream.next() < share ? 1 : 0)), pictures };
};

describe('a result', () => {
  it('is printed with its intervals, notes and what could not be used', () => {
    const skipped = { members: 2, reasons: [{ reason: 'no image', members: 2, example: '' }] };
    expect(formatTaskResult(result(figure({ skipped })))).toBe(
      [
        'flags: base/import@0, sha256 aaaaaaaaaaaa',
        '',
        'retrieval, px-32, 400 pictures',
        '       400  images',
        '    25.0 %  text_to_image.r1  21.0 % to 29.0 %',
        '  2 examples could not be used, such as: no image',
        '  4 pictures have no caption',
        '',
      ].join('\n'),
    );
  });
});

describe('what someone calls a result', () => {
  const json = (of: unknown) => JSON.parse(JSON.stringify(of));

  it('is one, or is refused before anything relies on it', () => {
    expect(resultIn(json(result(figure())))).toEqual(result(figure()));
    // A figure that is a text would be walked without end, and one that is null throws.
    const deep = Array.from({ length: 20 }).reduce((inner: object) => ({ inner }), {});
    for (const figures of [{ r1: 'a' }, { r1: null }, { r1: [1] }, deep, 'a', null])
      expect(resultIn(json(result({ ...figure(), figures: figures as never })))).toBeNull();
    expect(resultIn(json({ ...result(), figures: [{ fingerprint: {} }] }))).toBeNull();
    expect(resultIn(json({ ...result(), model: null }))).toBeNull();
    expect(resultIn(null)).toBeNull();
  });

  it('moves no cursor of who reads it', () => {
    const hostile = figure({ fingerprint: { ...figure().fingerprint, 'text.case': '\u001b[2J\u202eupper' } });
    const text = formatComparison(compare(result(figure()), result(hostile)));
    expect(text).toContain('    text.case: lower -> ?[2J?upper\n');
  });
});

describe('two results', () => {
  const kept = figure({
    figures: { images: 400, text_to_image: { r1: 0.22 } },
    fingerprint: { ...figure().fingerprint, 'text.case': 'kept', 'text.length': 64 },
  });

  it('are compared setting by setting, and what one does not tell is told', () => {
    expect(formatComparison(compare(result(figure()), result(kept)))).toBe(
      [
        'retrieval, px-32',
        '    25.0 %   22.0 %   -3.0 points  text_to_image.r1',
        '  2 settings differ, 3 are the same:',
        '    text.case: lower -> kept',
        '    text.length: (not told) -> 64',
        '',
      ].join('\n'),
    );
    expect(formatComparison(compare(result(figure()), result(figure({ evaluator: 'knn' }))))).toBe(
      'the two results have no evaluator in common\n',
    );
  });

  it('are compared at the views that both have, or at the first of each', () => {
    const [small, large] = [figure({ view: 'px-16' }), figure({ view: 'px-64' })];
    const views = (a: EvaluationDocument, b: EvaluationDocument) => compare(a, b).map((one) => one.views);
    expect(views(result(small, large), result(large))).toEqual([['px-64', 'px-64']]);
    expect(views(result(small), result(large))).toEqual([['px-16', 'px-64']]);
  });

  it('have an interval of their difference where they are of the same pictures, and none otherwise', async () => {
    const outcomes = { 'text_to_image.r1': hits(1, 0.25) };
    const better = { 'text_to_image.r1': { ...outcomes['text_to_image.r1'], values: hits(1, 0.5).values } };
    const of = (a: object, b: object) => async (one: FigureDocument) => (one === kept ? b : a) as typeof outcomes;
    const compared = await compareWithIntervals(result(figure()), result(kept), of(outcomes, better));
    expect(compared[0]!.figures[1]!.difference).toMatchObject({ differs: true });
    const same = await compareWithIntervals(result(figure()), result(kept), of(outcomes, outcomes));
    expect(same[0]!.figures[1]!.difference).toEqual({ low: 0, high: 0, differs: false });
    expect(formatComparison(same)).toContain('text_to_image.r1  no difference beyond the interval\n');
    const other = figure({ fingerprint: { ...figure().fingerprint, 'data.pictures': '400, c' } });
    const apart = await compareWithIntervals(result(figure()), result(other), of(outcomes, better));
    expect(apart[0]!.figures[1]!.difference).toBeUndefined();
  });
});

describe('what explains a difference', () => {
  const of = (b: number, difference?: { low: number; high: number; differs: boolean }) => [
    {
      ...{ evaluator: 'retrieval', views: ['px-32', 'px-32'] as const, settings: [], same: 3 },
      figures: [
        { name: 'images', a: 400, b: 400 },
        { name: 'text_to_image.r1', a: 0.25, b, ...(difference && { difference }) },
      ],
    },
  ];

  it('is told figure by figure, each switch with its interval, and what none does alone', () => {
    const text = formatExplained(of(0.2, { low: -0.07, high: -0.03, differs: true }), [
      { what: 'text', compared: of(0.22, { low: -0.04, high: -0.02, differs: true }) },
      { what: 'resize', compared: of(0.245, { low: -0.01, high: 0.002, differs: false }) },
    ]);
    expect(text.split('\n').slice(3)).toEqual([
      'retrieval px-32 text_to_image.r1',
      '   -3.0 points  text  (-4.0 points to -2.0 points)',
      '   -0.5 points  resize  (-1.0 points to +0.2 points) none beyond the interval',
      '   -5.0 points  all of it  (-7.0 points to -3.0 points)',
      '   -1.5 points  not explained by any alone',
      '',
    ]);
  });

  it('is nothing where nothing can be switched, or no figure changes', () => {
    expect(formatExplained(of(0.2), [])).toContain('nothing can be switched');
    expect(formatExplained(of(0.25), [{ what: 'text', compared: of(0.25) }])).toContain('no figure changes');
  });
});

describe('intervals', () => {
  it('are those of their pictures alone, whatever numbers these have', () => {
    const { values } = hits(3, 0.4);
    const interval = (numberOf: (picture: number) => number) =>
      intervalsOf({ r1: { values, pictures: Int32Array.from(values, (_, i) => numberOf(Math.floor(i / 4))) } }).r1!;
    const { low, high } = bootstrap(
      100,
      ofMean(
        values,
        Array.from(values, (_, i) => Math.floor(i / 4)),
        100,
      ),
      { seed: 0 },
    );
    expect(interval((picture) => 7 * picture + 5)).toEqual({ low, high });
  });

  it('are wider where the values of a picture are all the same, since only pictures count', () => {
    const { values, pictures } = hits(3, 0.3);
    const fives = (of: Float32Array | Int32Array) => Array.from(of).flatMap((one) => [one, one, one, one, one]);
    const repeated = { values: Float32Array.from(fives(values)), pictures: Int32Array.from(fives(pictures)) };
    const apart = { ...repeated, pictures: Int32Array.from(repeated.pictures, (_, i) => i) };
    const width = (of: typeof apart) => {
      const { low, high } = intervalsOf({ r1: of }).r1!;
      return high - low;
    };
    // Twice 1.96 standard errors of 400 throws, and of 2000.
    const share = values.reduce((sum, one) => sum + one, 0) / 400;
    expect(width(repeated) / (3.92 * Math.sqrt((share * (1 - share)) / 400))).toBeCloseTo(1, 0);
    expect(width(repeated) / width(apart)).toBeGreaterThan(1.9);
    expect(intervalsOf({ r1: { values: Float32Array.of(1), pictures: Int32Array.of(0) } })).toEqual({});
    expect(differencesOf({ r1: repeated }, { r5: repeated })).toEqual({});
  });

  it('of a mean over languages draw a picture again in all of them, whatever each has of captions', () => {
    const german = hits(3, 0.3);
    // The same pictures with the same values in another language, each twice: nothing is known beyond the first.
    const twice = (of: Float32Array | Int32Array) => Array.from(of).flatMap((one) => [one, one]);
    const danish = {
      values: Float32Array.from(twice(german.values)),
      pictures: Int32Array.from(twice(german.pictures)),
    };
    const of = (name: string) => `by_language.${name}.text_to_image.r1`;
    const both = { [of('de')]: german, [of('da')]: danish };
    const found = intervalsOf(both);
    expect(found['mean.text_to_image.r1']).toEqual(found[of('de')]);
    // One that is independent of it makes the mean surer: by the square root of two.
    const apart = intervalsOf({ [of('de')]: german, [of('nl')]: { ...hits(4, 0.3), pictures: german.pictures } });
    const width = (name: string) => apart[name]!.high - apart[name]!.low;
    expect(width(of('de')) / width('mean.text_to_image.r1')).toBeCloseTo(Math.SQRT2, 0.5);
    const better = { ...both, [of('da')]: { ...danish, values: danish.values.map(() => 1) } };
    const differences = differencesOf(both, better);
    expect(differences['mean.text_to_image.r1']).toMatchObject({ differs: true });
    expect(differences['mean.text_to_image.r1']!.low).toBeCloseTo(differences[of('da')]!.low / 2, 12);
    expect(Object.keys(differencesOf(both, better, (name) => name.startsWith('mean.')))).toEqual([
      'mean.text_to_image.r1',
    ]);
  });
});
