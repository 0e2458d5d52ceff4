import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { toDocument } from '../../src/checkpoint/documents.ts';
import { checkpointSidecars } from '../../src/checkpoint/hugging-face/config.ts';
import { importModel } from '../../src/checkpoint/hugging-face/import-model.ts';
import { originsKey } from '../../src/checkpoint/keys.ts';
import { type Looked, lookAt, type World } from '../../src/plan/look.ts';
import type { Sight } from '../../src/plan/sight.ts';
import { withModels } from '../../src/recipe/models.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { modelConfig, phaseSettings } from '../../src/recipe/settings.ts';
import { phaseSpans } from '../../src/recipe/spans.ts';
import { cpuHasBfloat16 } from '../../src/runtime/bfloat16.ts';
import { RunnerError } from '../../src/runtime/errors.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { freshState, writeState } from '../../src/train/state.ts';
import { tinyModel, tinyTensors, writeFolder } from '../checkpoint/hugging-face/tiny-folder.ts';
import { makeSnapshot } from '../checkpoint/snapshot.ts';
import { tarOf } from '../data/tar-file.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';

// biome-ignore lint/suspicious/noExplicitAny: recipes as people write them, with mistakes.
type Written = any;

let server: TestServer;
let store: S3ObjectStore;
let folder: string;
let picture: Buffer;

/** A shard of examples with these JSON members. */
const shard = (metas: readonly object[]) =>
  tarOf(
    metas.flatMap((meta, i) => [
      { name: `${i}.png`, body: picture },
      { name: `${i}.json`, body: JSON.stringify(meta) },
    ]),
  );
const captions = (of: object) => ({ captions: of });

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  folder = mkdtempSync(join(tmpdir(), 'look-'));
  picture = await sharp({ create: { width: 8, height: 8, channels: 3, background: '#369' } })
    .png()
    .toBuffer();
  const both = Array.from({ length: 12 }, (_, i) => captions({ en: [`dog ${i}`], ...(i < 5 && { 'zh-CN': ['狗'] }) }));
  await store.put('data/good/train/0.tar', shard(both));
  await store.put('data/good/held-out/0.tar', shard(both.slice(0, 4)));
  await store.put('data/i2d/0.tar', shard(both.map((_, i) => ({ caption: `dog ${i}`, url: 'x' }))));
  await store.put(
    'data/worn/0.tar',
    shard([...both.slice(0, 9), { caption: 'x' }, { caption: 'y' }, captions({ en: 1 })]),
  );
  await store.put('data/packed/0.tar.gz', 'x');
  await writeFolder(join(folder, 'tiny'), tinyTensors());
  await importModel(store, join(folder, 'tiny'), 'base', { scratch: folder, codeVersion: '0', attempt: 'a' });
}, 60_000);
afterAll(async () => {
  await server.stop();
  rmSync(folder, { recursive: true });
});

const size = { width: 32, depth: 1, mlp: 64, heads: 2 };
const good = (): Written => ({
  version: 1,
  model: { vision: { size, patch: 8, resolution: 16 }, text: { size, length: 64, vocabulary: 'compact' } },
  data: { train: 'data/good/train', evaluation: 'data/good/held-out' },
  schedule: { total: { steps: 10 } },
  phases: [{ name: 'pretrain', batch: 4 }],
});

async function look(change: (recipe: Written) => unknown, world: Partial<World> = {}): Promise<[Sight, Looked]> {
  const recipe = good();
  const written = change(recipe) ?? recipe;
  const looked = await lookAt(written, { open: () => store, ...world });
  return [looked.sight, looked];
}
const problems = async (change: (recipe: Written) => unknown) =>
  (await look(change))[0].problems.map(({ message }) => message);

describe('a recipe that is held against the bucket', () => {
  it('is right where all that it names is there, and counted by language', async () => {
    const [right, { facts, captions }] = await look((r) => r);
    expect([right.problems, right.notes, right.unseen]).toEqual([[], [], null]);
    expect(facts).toMatchObject({ examples: 12, vocabulary: expect.any(Array) });
    expect(captions.map(({ field, census }) => [field, census.looked, Object.fromEntries(census.languages)])).toEqual([
      ['data.captions', 12, { en: 12, 'zh-CN': 5 }],
      ['evaluate.languages', 4, { en: 4, 'zh-CN': 4 }],
    ]);
  });

  it('looks at each source of a mixture in its own way, and says which one is wrong', async () => {
    const mixture = (r: Written) => {
      delete r.data.train;
      r.data.mixture = [
        {
          name: 'own',
          train: 'data/good/train',
          languages: [
            { language: 'en', weight: 9 },
            { language: 'other', weight: 1 },
          ],
        },
        { name: 'theirs', train: 'data/i2d', read: { captions: 'json' } },
      ];
    };
    const [right, { facts, captions, data, recipe }] = await look(mixture);
    expect([right.problems, facts?.examples]).toEqual([[], 24]);
    expect(captions.map(({ places, field }) => [places, field])).toEqual([
      ['data.mixture.0.train', 'data.mixture.0.languages'],
      ['data.mixture.1.train', 'data.captions'],
      ['data.evaluation', 'evaluate.languages'],
    ]);
    const { sources } = data!.of(recipe!.phases[0]!);
    expect(sources).toMatchObject([
      { name: 'own', first: 0, shards: 1 },
      { name: 'theirs', first: 1, shards: 1, read: { captions: 'json' } },
    ]);
    const [wrong] = await problems((r) => {
      mixture(r);
      delete r.data.mixture[1].read;
    });
    expect(wrong).toMatch(/^data.mixture.1.train: none of the 12 examples below data\/i2d\/ can be used/);
  });

  it('is refused where none of its examples can be used, with the reason', async () => {
    const found = await look((r) => {
      r.data.train = 'data/i2d';
    });
    expect(found[0].problems).toEqual([
      {
        fields: ['data.train'],
        code: 'DataContract',
        message: expect.stringMatching(
          /^data.train: none of the 12 examples below data\/i2d\/ can be used: the JSON member has no captions.* \(data\/i2d\/0.tar, 0\); npm run siglip2 -- data look data\/i2d says how they can be read$/,
        ),
      },
    ]);
    expect(() => found[0].require()).toThrow(expect.objectContaining({ code: 'DataContract' }));
    expect(await problems((r) => void Object.assign(r.data, { train: 'data/good/train/0.tar' }))).toEqual([
      expect.stringMatching(/; data\/good\/train\/0.tar is named as one shard: name where it lies, data\/good\/train$/),
    ]);
    const [worn] = await look((r) => void Object.assign(r.data, { train: 'data/worn', maxBroken: 0.25 }));
    expect([worn.problems, worn.notes]).toEqual([
      [],
      [
        expect.stringMatching(
          /^data.train: 3 of 12 examples below data\/worn\/ can't be used, most of them because: the JSON/,
        ),
      ],
    ]);
  });

  it('is told every mistake at once: its own, those of data and evaluation, and of what it goes on from', async () => {
    const found = await problems((r) => {
      r.seeed = 1;
      r.data.captions = [{ language: 'zh', weight: 1 }];
      r.evaluate = { languages: ['english', 'en'] };
      r.phases[0].data = { train: 'data/packed' };
      r.phases.push({ name: 'tune', batch: 4, from: { run: 'nowhere', phase: 'import' } });
      r.phases.push({ name: 'late', batch: 4, from: 'pretrain', window: { from: { steps: 90 } } });
    });
    expect(found).toEqual([
      'seeed is not a known field; did you mean seed?',
      'phases.late.window is {"from":{"steps":90},"to":{"percent":100}}; a start within the window of pretrain is allowed, after its beginning',
      'phase tune goes on from nowhere/import, and bucket test has no such checkpoint; npm run siglip2 -- ls shows what is there',
      expect.stringMatching(/^data: no .tar shards below data\/packed\/ in bucket test/),
      'evaluate.languages names "english", which no example below data/good/held-out/ has; they have en 4, zh-CN 4 of 4 examples',
    ]);
    const mixed = ['zh', 'zh-CN', 'en', 'other'].map((language) => ({ language, weight: 1 }));
    const languages = await problems((r) => void Object.assign(r.data, { captions: mixed }));
    expect(languages).toEqual([
      'data.captions names "zh", which no example below data/good/train/ has; did you mean "zh-CN"? they have en 12, zh-CN 5 of 12 examples',
    ]);
  });

  it('is refused where too much of a shard is broken, in one sentence, unless it allows more or has begun', async () => {
    const [sight] = await look((r) => void Object.assign(r.data, { train: ['data/good/train', 'data/worn'] }));
    expect(sight.problems.map(({ message }) => message)).toEqual([
      'data.train: 3 of the 12 examples of data/worn/0.tar can\'t be used (the JSON member has no captions, such as {"captions": {"en": ["a dog"]}}), and data.maxBroken allows 5 %; npm run siglip2 -- data look data/worn --all names them: mend them, or allow more',
    ]);
    expect(() => sight.require()).toThrow(expect.objectContaining({ code: 'DataContract' }));
    expect(sight.require(true)).toBe(undefined);
    const [strict] = await look((r) => void Object.assign(r.data, { train: 'data/worn', maxBroken: 0.24 }));
    expect(strict.problems).toHaveLength(1);
    const [mixed] = await look((r) => {
      delete r.data.train;
      const languages = [
        { language: 'en', weight: 1 },
        { language: 'tlh', weight: 1 },
      ];
      r.data.mixture = [
        { name: 'good', train: 'data/good/train', weight: 1, languages },
        { name: 'worn', train: 'data/worn', weight: 1 },
      ];
    });
    expect(mixed.problems.map(({ message }) => message.replace(/ \(the JSON.*/, ''))).toEqual([
      expect.stringMatching(/^data.mixture.0.languages names "tlh", which no example below data\/good\/train\/ has; /),
      "data.mixture.1.train: 3 of the 12 examples of data/worn/0.tar can't be used",
    ]);
  });

  it('reads shards of others by data.read, and those of evaluation and of a phase by their own', async () => {
    const [{ problems: found }, { data, evaluation, captions }] = await look((r) => {
      Object.assign(r.data, { train: 'data/i2d', read: { captions: 'json' }, evaluationRead: { captions: 'own' } });
      r.phases[0].data = { train: 'data/good/train', read: { captions: 'own' } };
      r.phases.push({ name: 'other', batch: 4, schedule: { total: { epochs: 2 } } });
      const url = { read: { captions: 'json', field: 'url' } };
      r.phases.push({ name: 'last', batch: 4, data: url, schedule: { total: { epochs: 1 } } });
    });
    expect(found).toEqual([]);
    expect([data!.main.read, data!.of({ ...good().phases[0], data: { read: { captions: 'own' } } })?.read]).toEqual([
      { captions: 'json', language: 'en' },
      undefined,
    ]);
    expect(evaluation!.read).toBe(undefined);
    expect(captions.map(({ prefix, census }) => [prefix, Object.fromEntries(census.languages)])).toEqual([
      ['data/good/train', { en: 12, 'zh-CN': 5 }],
      ['data/i2d', { en: 12 }],
      ['data/i2d', { en: 12 }],
      ['data/good/held-out', { en: 4, 'zh-CN': 4 }],
    ]);
    const wrong = { captions: 'txt', field: 'alt', class: 'txt', classnames: 'a', draw: 'all' };
    expect(await problems((r) => void Object.assign(r.data, { read: wrong }))).toEqual([
      'data.read.draw is "all"; allowed: one of "one", "first", "joined"',
      'data.read.field is given; it is allowed with "captions": "json", not with "txt"',
      'data.read.class is "txt", which has the captions ("txt"); "cls" is allowed',
    ]);
    const twice = { captions: 'json', field: 'a', fields: [{ field: 'a', templates: ['{}', '{}'] }, { field: 'a' }] };
    expect(await problems((r) => void Object.assign(r.data, { read: twice }))).toEqual([
      'data.read.field is given beside fields; one of them is allowed: field for one, fields for several',
      'data.read.fields.1.field is "a" again; each field once is allowed',
      'data.read.fields.0.templates has "{}" twice; each once is allowed',
    ]);
    const wide = { resize: 'antialias', augment: { scale: [1, 2.5] } };
    expect(await problems((r) => void Object.assign(r.phases[0], { data: wide }))).toEqual([
      expect.stringMatching(
        /^phases\..*\.data\.augment\.scale is \[1,2\.5\]; at most 2 is allowed with "resize": "antialias"/,
      ),
    ]);
    const own = { captions: 'own', fields: [{ field: 'a' }], languageField: 'lang', templates: ['a {c}.', 'a {} {}'] };
    expect(await problems((r) => void Object.assign(r.data, { read: own, resize: 'area' }))).toEqual([
      'data.read.templates.0 is "a {c}."; allowed: a text with one {} where the text goes, such as "a photo of {}"',
      'data.read.templates.1 is "a {} {}"; allowed: a text with one {} where the text goes, such as "a photo of {}"',
      'data.resize is "area"; allowed: one of "antialias", "big_vision"',
      'data.read.fields is given; it is allowed with "captions": "json", not with "own"',
      'data.read.languageField is given; it is allowed with "captions": "json", not with "own"',
    ]);
  });

  it('may name any other language beside those that are there, and is told that there is none', async () => {
    const named = ['en', 'zh-CN', 'other'].map((language) => ({ language, weight: 1 }));
    const [{ problems: found, notes }] = await look((r) => void Object.assign(r.data, { captions: named }));
    expect([found, notes]).toEqual([
      [],
      ['data.captions names "other", and no example below data/good/train/ has a language that is not named'],
    ]);
  });

  it('says what could not be looked at, and its own mistakes all the same', async () => {
    const away = () => {
      throw new RunnerError('SetupMissing', 'no S3 server');
    };
    const [sight] = await look((r) => r, { open: away });
    expect([sight.problems, sight.unseen?.message]).toEqual([[], 'no S3 server']);
    expect(() => sight.require()).toThrow('no S3 server');
    const gpu = { kind: 'gpu', bytes: 0.1e9 } as const;
    const full = (r: Written) => void Object.assign(r.model.text, { vocabulary: 'full' });
    const [large] = await look(full, { open: away, memory: gpu });
    expect(large.problems.map(({ message }) => message)).toEqual([expect.stringMatching(/the GPU has 0.1 GB;/)]);
    const [wrong] = await look((r) => ({ ...r, seed: -1 }), { open: away });
    expect(() => wrong.require()).toThrow(/^The recipe has a problem: seed is -1/);
    const [refused] = await look((r) => r, { open: () => server.store({ bucket: 'no-such-bucket' }) });
    expect(refused.unseen?.code).toBe('BucketMissing');
  });

  it('lets a run go on that a release of before began, and no other', async () => {
    const [sight, { facts }] = await look((r) => {
      r.data.captions = ['en', 'fr'].map((language) => ({ language, weight: 1 }));
    });
    expect(facts).toMatchObject({ examples: 12 });
    expect(() => sight.require()).toThrow(/names "fr"/);
    expect(sight.require(true)).toBe(undefined);
  });

  it('may have a phase of any name that the schema allows', async () => {
    const [sight, { resolved, facts }] = await look((r) => {
      r.data.maxBroken = 0.5;
      r.phases.push({
        name: 'constructor',
        batch: 4,
        data: { train: 'data/worn' },
        schedule: { total: { epochs: 2 } },
      });
      r.phases.push({ name: 'tune', batch: 4, from: 'constructor', schedule: { total: { steps: 3 } } });
    });
    expect([sight.problems, sight.unseen]).toEqual([[], null]);
    expect(phaseSpans(resolved!, facts!).map(({ from, to }) => [from.step, to.step])).toEqual([
      [0, 10],
      [0, 6],
      [6, 9],
    ]);
    const [alone] = await look((r) => ({ ...r, phases: [{ name: 'constructor', batch: 4 }] }));
    expect(alone.problems).toEqual([]);
  });

  it('is told what is seldom meant', async () => {
    const [{ notes }] = await look((r) => {
      r.phases[0].batch = 48;
      r.model.vision.resolution = 20;
      r.model.text.length = 24;
    });
    const [slow] = await look((r) => ({ ...r, precision: 'bf16' }), { memory: { kind: 'cpu', bytes: 64e9 } });
    const said =
      'precision is "bf16", and this CPU does not compute in bfloat16: "precision": "auto" takes what is faster';
    expect(slow.notes).toEqual(cpuHasBfloat16() === false ? [said] : []);
    expect(notes).toEqual([
      'phase pretrain: a batch of 48 holds each of its 12 examples 4.0 times',
      'phase pretrain: a resolution of 20 is no multiple of the patch 8, so 4 pixels at the right and at the bottom are not seen',
      'texts are 24 tokens long: pipelines of transformers pad to 64, so what is exported is used with max_length=24, as its card says',
    ]);
  });
});

describe('a phase that goes on from a checkpoint in the bucket', () => {
  const tuned = (r: Written, model?: object, phase: object = {}) => {
    const { model: _, ...rest } = r;
    const phases = [{ name: 'tune', batch: 4, from: { run: 'base', phase: 'import' }, ...phase }];
    return { ...rest, ...(model && { model }), phases };
  };

  it('has its model, and is refused with each field that the recipe says otherwise', async () => {
    const [sight, { resolved, held, facts }] = await look((r) => tuned(r));
    expect(sight.problems).toEqual([]);
    expect(held.get('tune')).toEqual({ name: 'base/import@0', model: tinyModel, vocabulary: null });
    expect(phaseSettings(resolved!, resolved!.phases[0]!, facts!).model).toEqual(tinyModel);
    const other = {
      vision: { size: { width: 6, depth: 2, mlp: 5, heads: 3 }, patch: 2, resolution: 4 },
      text: { size: { width: 2, depth: 1, mlp: 3, heads: 1 }, length: 8 },
    };
    expect(await problems((r) => tuned(r, other))).toEqual([
      'model.vision.depth is 2, and base/import@0, which phase tune goes on from, has 1; 1 is allowed',
      'model.vision.heads is 3, and base/import@0, which phase tune goes on from, has 2; 2 is allowed',
      'model.text.length is 8, and base/import@0, which phase tune goes on from, has 4; 4 is allowed, or "text": {"length": 8} in the phase, which stretches its positions',
    ]);
  });

  it('may add tokens that are not one piece already, and is told how many its model has', async () => {
    const adding =
      (...addedTokens: string[]) =>
      (r: Written) =>
        tuned(r, undefined, { text: { addedTokens } });
    const [sight] = await look(adding('<sku>', 'zyxxyz'));
    expect(sight.problems).toEqual([]);
    expect(sight.notes).toContain(
      'phase tune: its model has 2 added tokens, 2 of them new, and a table of 256002 rows',
    );
    expect(await problems(adding('zyxxyz', 'Cat'))).toEqual([
      'phases.tune.text.addedTokens has "Cat", which is one piece already, with the id 4991; what is more than one is allowed',
    ]);
  });

  it('has the token table that was trained where it says none, and may have another', async () => {
    const recipe = parseRecipe(good());
    const [, { facts }] = await look((r) => r);
    const settings = phaseSettings(recipe, recipe.phases[0]!, facts!);
    const at = join(folder, 'compact');
    mkdirSync(at);
    const { state } = await writeState(at, settings, freshState(settings));
    const metrics = { loss: 1, examplesPerSecond: 1, dataWaitShare: 0 };
    await commitCheckpoint(store, {
      ...{ run: 'small', phase: 'pretrain', revision: 0, step: 3, examples: 12, folder: at, state, metrics },
      ...{ sidecars: checkpointSidecars(settings.model), parent: null, recipeHash: '', dataFingerprint: '' },
      ...{ codeVersion: '0', skipped: [], attempt: 'a', inputHash: 'a'.repeat(64) },
    });
    const from = { from: { run: 'small', phase: 'pretrain' } };
    const [sight, { resolved, held }] = await look((r) => tuned(r, undefined, from));
    expect(sight.problems).toEqual([]);
    expect(held.get('tune')).toMatchObject({ name: 'small/pretrain@3', vocabulary: facts!.vocabulary });
    expect(resolved!.phases[0]!.model?.text.vocabulary).toBe('compact');
    expect(withModels(parseRecipe(tuned(good(), undefined, from)), held)).toEqual(resolved);
    // Its other rows are in the checkpoint, so that another table may go on from it.
    const [other, { facts: known }] = await look((r) => {
      r.data.captions = [{ language: 'zh-CN', weight: 1 }];
      return tuned(r, undefined, from);
    });
    expect(other.problems).toEqual([]);
    expect(known!.vocabulary).not.toEqual(facts!.vocabulary);
    const full = good().model;
    full.text.vocabulary = 'full';
    expect(await problems((r) => tuned(r, full, from))).toEqual([]);
  });

  it('goes on where what it began with is gone, with the model of its own checkpoints', async () => {
    const lost = await importModel(store, join(folder, 'tiny'), 'lost', {
      scratch: folder,
      codeVersion: '0',
      attempt: 'a',
    });
    const from = { from: { run: 'lost', phase: 'import' } };
    const gone = { run: 'gone' };
    await store.put(originsKey('gone'), toDocument({ tune: lost }));
    await store.delete(`${lost.prefix}manifest.json`);
    const [refused] = await look((r) => tuned(r, undefined, from), gone);
    expect(refused.problems).toMatchObject([{ code: 'CheckpointDamaged', fields: ['phases.0.from'] }]);
    const snapshot = await makeSnapshot({ run: 'gone', phase: 'tune', step: 5, attempt: 'a' });
    await commitCheckpoint(store, {
      ...snapshot,
      state: snapshot.state.slice(0, 1),
      sidecars: checkpointSidecars(tinyModel),
    });
    const [sight, { resolved, borrowed }] = await look((r) => tuned(r, undefined, from), gone);
    expect([sight.problems, borrowed.tune]).toEqual([[], lost]);
    expect(modelConfig(resolved!, null, resolved!.phases[0])).toEqual(tinyModel);
  });
});
