import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { xm3600Languages } from '../../../src/benchmarks/open.ts';
import { publishedTables } from '../../../src/benchmarks/published.ts';
import { requirePublished } from '../../../src/commands/published-lines.ts';
import { elsewhere } from '../../../src/evaluate/tasks/elsewhere.ts';
import { sampled, sampleText } from '../../../src/evaluate/tasks/sample.ts';
import { parseTask, taskJsonSchema } from '../../../src/evaluate/tasks/task.ts';

const task = (changes: object = {}) => ({
  version: 1,
  name: 'held-out',
  data: 'data/emoji/held-out',
  evaluators: { retrieval: {} },
  ...changes,
});
const problemOf = (json: unknown) => {
  try {
    parseTask(json);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
};

describe('a task', () => {
  it('has a default for everything that it leaves out', () => {
    expect(parseTask(task())).toEqual({
      version: 1,
      name: 'held-out',
      data: 'data/emoji/held-out',
      sample: { examples: 50_000, seed: 0 },
      languages: ['en'],
      classes: {},
      text: { case: 'lower' },
      evaluators: { retrieval: { top: [1, 5, 10] } },
    });
  });

  it.each([
    ['nothing', null, /^the task can't be done: the task is null; allowed: .*object.*; see src\/evaluate\/README\.md$/],
    ['no evaluator', task({ evaluators: {} }), /evaluators is \{\}: nothing would be measured/],
    [
      'an evaluator that is not known',
      task({ evaluators: { clip: {} } }),
      /evaluators: .*"clip".*; allowed: zeroShot, retrieval, knn, fewShot, logistic[,;]/,
    ],
    [
      'a field that is not known',
      task({ sampel: {} }),
      /the task: .*"sampel".*; allowed: \$schema, version, name, data, read, sample,/,
    ],
    ['a name that is none', task({ name: 'A b' }), /name is "A b"; allowed: at most 60 of a-z/],
    ['a place with a bucket', task({ data: 's3://x/data/a' }), /data is "s3:\/\/x\/data\/a"; allowed: /],
    ['a probe without train', task({ evaluators: { knn: {} } }), /train is missing: evaluators\.knn learns from it/],
    ['train that nobody needs', task({ train: { data: 'data/x' } }), /train is given, and no evaluator learns from it/],
    [
      'train that is the test',
      task({ evaluators: { knn: {} }, train: { data: 'data/emoji/held-out' } }),
      /train is the same as data/,
    ],
    ['a template without a place', task({ classes: { templates: ['a photo'] } }), /classes\.templates/],
    ['templates of no names', task({ classes: { templates: ['a {}'] } }), /classes\.templates is given without names/],
    [
      'a bias of more than two texts',
      task({ evaluators: { bias: {} }, classes: { names: ['a', 'b', 'c'] } }),
      /evaluators\.bias compares two texts, and classes\.names has 3/,
    ],
    ['a bias of no texts', task({ evaluators: { bias: {} } }), /evaluators\.bias compares two texts/],
    [
      'a published figure of another evaluator',
      task({ published: { 'zeroShot.top1': 'imagenet-val acc1' } }),
      /published\.zeroShot\.top1 is of no evaluator of this task; allowed: retrieval\.<figure>/,
    ],
    [
      'a data set of the hub without an owner',
      task({ dataset: { hub: 'imagenet' } }),
      /dataset\.hub is "imagenet"; allowed: OWNER\/NAME of a data set on the Hugging Face hub/,
    ],
    [
      'a task of the hub for a figure of another evaluator',
      task({ dataset: { hub: 'a/b', tasks: { 'knn.k5.top1': 'x' } } }),
      /dataset\.tasks\.knn\.k5\.top1 is of no evaluator of this task; allowed: retrieval\.<figure>/,
    ],
    ['a source that is no link', task({ dataset: { hub: 'a/b', source: 's3://x/y' } }), /dataset\.source is /],
    [
      'depths that there are none of',
      task({ evaluators: { depth: { least: 10, most: 10 } }, train: { data: 'data/x' } }),
      /evaluators\.depth\.least is 10 and most 10: no depth lies between; allowed: a least below 10/,
    ],
    ['views of both kinds', task({ views: { patches: [64], resolutions: [224] } }), /views is /],
    [
      'a reading that does not say where texts are',
      task({ read: { templates: ['a {}'] } }),
      /read\.captions is missing; allowed: "txt", "lines", "json", "class", "own"/,
    ],
    ['a reading that can not be', task({ read: { captions: 'class' } }), /read\.class is missing/],
    ['a language twice', task({ languages: ['en', 'en'] }), /languages has en twice/],
  ])('with %s is refused with what is allowed', (_, json, message) => {
    expect(problemOf(json)).toMatch(message);
    expect(problemOf(json)).not.toMatch(/undefined|\[object/);
  });
});

it('of data elsewhere looks there for its names too, where they lie below its data, and nowhere else', () => {
  const said = task({
    data: ['data/geode/test', 'data/geode/train'],
    classes: { names: 'data/geode/train/classes.txt', templates: 'data/templates.txt' },
  });
  const { data, classes } = parseTask(elsewhere(said, 'sets/geode'));
  expect([data, classes]).toEqual(['sets/geode', { names: 'sets/geode/classes.txt', templates: 'data/templates.txt' }]);
  expect(parseTask(elsewhere(task(), 'sets/x'))).toEqual(parseTask(task({ data: 'sets/x' })));
  expect(problemOf(elsewhere(null, 'sets/x'))).toMatch(/the task is null/);
});

describe('infra/tasks', () => {
  const folder = new URL('../../../infra/tasks/', import.meta.url);
  const read = (name: string) => JSON.parse(readFileSync(new URL(name, folder), 'utf8'));

  const tasks = readdirSync(folder).filter((name) => name.endsWith('.json') && name !== 'task.schema.json');

  it.each(tasks)('has in %s a task that can be begun, under its own name', (name) => {
    const task = parseTask(read(name));
    expect(`${task.name}.json`).toBe(name);
    expect(() => requirePublished(task)).not.toThrow();
    expect(readFileSync(new URL('README.md', folder), 'utf8')).toMatch(new RegExp(`^\\| .*\`${name}\`.* \\|`, 'm'));
  });

  it('has a task for each column of the tables that are of features, but of sets whose labels nobody says or reads', () => {
    const named = tasks.flatMap((name) => Object.values(parseTask(read(name)).published ?? {}));
    const wanted = publishedTables().flatMap(({ table, columns }) =>
      ['Table 1', 'Table 2', 'Table 4', 'Table 5', 'Table 7', 'Table 8', 'Table 9'].includes(table) ? columns : [],
    );
    const missing = [...new Set(wanted)].filter((column) => !named.includes(column));
    expect(missing.sort()).toEqual([
      ...['gldv2 acc1', 'hiertext image_to_text.r1', 'hiertext text_to_image.r1'],
      ...['navi rmse', 'navi-normals rmse', 'nyuv2-normals rmse'],
    ]);
  });

  it('is refused where it names a column that no table has', () => {
    const task = parseTask({ ...read('coco.json'), published: { 'retrieval.x': 'coco r1' } });
    expect(() => requirePublished(task)).toThrow(
      'published.retrieval.x is "coco r1", which no table of src/benchmarks/published.json has; it has coco text_to_image.r1',
    );
  });

  it('has the languages of XM3600 that are packed', () => {
    expect(parseTask(read('xm3600.json')).languages).toEqual(xm3600Languages);
    expect(xm3600Languages).toHaveLength(36);
  });

  it('has the schema of tasks as it is now (npm run schema)', () => {
    expect(read('task.schema.json')).toEqual(JSON.parse(JSON.stringify(taskJsonSchema())));
  });
});

describe('a sample', () => {
  it('has one of each of as many parts, in order, by the seed, and is the whole where it is as large', () => {
    const numbers = (seed: number) =>
      Array.from({ length: 30 }, (_, i) => sampled({ of: 1000, examples: 30, seed }, i));
    const drawn = numbers(4);
    expect(
      drawn.every((number, i) => number >= Math.floor((1000 * i) / 30) && number < Math.floor((1000 * (i + 1)) / 30)),
    ).toBe(true);
    expect(numbers(4)).toEqual(drawn);
    expect(numbers(5)).not.toEqual(drawn);
    expect(Array.from({ length: 7 }, (_, i) => sampled({ of: 7, examples: 7, seed: 4 }, i))).toEqual([
      0, 1, 2, 3, 4, 5, 6,
    ]);
    expect(sampleText({ of: 1000, examples: 30, seed: 4 })).toBe('30 of 1000, one of each part, seed 4');
    expect(sampleText({ of: 7, examples: 7, seed: 4 })).toBe('all 7');
  });

  it('draws every example of a part as often as any other', () => {
    const counts = new Array<number>(10).fill(0);
    for (let seed = 0; seed < 5000; seed++) counts[sampled({ of: 100, examples: 10, seed }, 3) - 30]!++;
    for (const count of counts) expect(Math.abs(count - 500)).toBeLessThan(4 * Math.sqrt(450));
  });
});
