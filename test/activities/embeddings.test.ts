import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Dependencies } from '../../activities/dependencies.ts';
import { embedPart } from '../../activities/evaluation-embed.ts';
import { planEmbeddings } from '../../activities/plan-embeddings.ts';
import { sealEmbeddings } from '../../activities/seal-embeddings.ts';
import { commitCheckpoint } from '../../src/checkpoint/commit.ts';
import { checkpointSidecars } from '../../src/checkpoint/hugging-face/config.ts';
import { pinsOf } from '../../src/checkpoint/pins.ts';
import { listRuns } from '../../src/commands/list-runs.ts';
import { removeEmbeddings } from '../../src/commands/remove-embeddings.ts';
import { searchEmbeddings } from '../../src/commands/search.ts';
import { each } from '../../src/data/index/open-index.ts';
import { type EmbeddingPart, partsOf, readEmbeddings } from '../../src/embeddings/manifest.ts';
import { blocksOf, type RowKey, type RowKind } from '../../src/embeddings/rows.ts';
import { fullVocabulary } from '../../src/model/sizes.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import { createTrainerProcess, type TrainerProcess } from '../../src/trainer/process.ts';
import { embedOneByOne, type TaughtData, taughtData } from '../scoring/teacher.ts';
import { type Hands, hands } from './fixture.ts';

// A real model in a real checkpoint, a real trainer process, a real S3 server.
let data: TaughtData;
let on: Hands;
let trainer: TrainerProcess;
const jobs: number[] = [];

beforeAll(async () => {
  data = await taughtData();
  on = hands();
  const real = createTrainerProcess({
    lockFile: `${data.folder}/device.lock`,
    log: { info() {}, warn() {} },
    env: data.env,
  });
  trainer = {
    ...real,
    run: (job, events, signal) => {
      if (job.kind === 'embed') jobs.push(job.part);
      return real.run(job, events, signal);
    },
  };
  const { store, model, index } = data;
  const config = { ...model, text: { ...model.text, vocabulary: fullVocabulary } };
  await commitCheckpoint(store, {
    ...{ run: 'taught', phase: 'pretrain', revision: 0, step: 40, examples: 400, attempt: 'a' },
    ...{ folder: data.folder, state: data.state, sidecars: checkpointSidecars(config), parent: null, skipped: [] },
    ...{ recipeHash: 'r', codeVersion: 't', dataFingerprint: index.fingerprint, inputHash: sha256('inputs') },
    metrics: { loss: 1, examplesPerSecond: 1, dataWaitShare: 0 },
  });
}, 120_000);
afterAll(async () => {
  await trainer.close();
  await on.close();
  await data.stop();
});

const input = (changes: object = {}) => ({
  ...{ name: 'emoji', model: 'taught/pretrain@40', data: data.index.prefix, languages: ['en', 'de'], captions: 1 },
  ...changes,
});

/** Every part, in lives that end as told: a death at a point of an attempt is a throw there, and the next life goes on. */
async function embed(settings: object, deps: Dependencies) {
  const begun = await planEmbeddings(deps, settings, on.attempt());
  for (let part = 0; part < begun.parts; part++)
    for (;;) {
      try {
        await embedPart(deps, { plan: begun, set: 'test', part }, on.attempt());
        break;
      } catch (error) {
        if ((error as Error).message !== 'died') throw error;
      }
    }
  return { begun, report: await sealEmbeddings(deps, begun, on.attempt()) };
}

const depsOf = (changes: Partial<Dependencies> = {}) =>
  on.deps(data.store, { trainer, examplesOfPart: 200, ...changes });

interface Row {
  readonly key: RowKey;
  readonly row: Float32Array;
}
async function rowsOf(name: string, kind: RowKind): Promise<Row[]> {
  const found: Row[] = [];
  for await (const block of blocksOf(data.store, await readEmbeddings(data.store, name), kind))
    for (let i = 0; i * block.width < block.rows.length; i++)
      found.push({ key: block.keyOf(i), row: block.rows.slice(i * block.width, (i + 1) * block.width) });
  return found;
}
const nearTo = (a: Float32Array, b: Float32Array) =>
  Math.max(...a.map((value, i) => Math.abs(value - b[i]!)), a.length === b.length ? 0 : 1);

/** Keys and rows as a loop makes them that looks at one example at a time. */
async function oneByOne() {
  const { rows } = await embedOneByOne(data);
  const images: Row[] = [];
  const texts: Row[] = [];
  for (const [shard, { key }] of data.index.shards.entries()) {
    for (const [i, { name }] of [...each(await data.index.entriesOf(shard))].entries()) {
      const one = rows[shard]![i];
      if (!one) continue;
      images.push({ key: { shard: key, name }, row: one.image });
      for (const language of ['en', 'de'])
        if (one.texts[language])
          texts.push({ key: { shard: key, name, language, caption: 0 }, row: one.texts[language] });
    }
  }
  return { images, texts };
}
const byKey = (a: Row, b: Row) => (JSON.stringify(a.key) < JSON.stringify(b.key) ? -1 : 1);

describe('embeddings of a data set', () => {
  it('are those of its examples one by one, by their keys, and have the same bytes after deaths at every point', async () => {
    const { begun, report } = await embed(input(), depsOf());
    expect(report).toMatchObject({
      name: 'emoji',
      model: 'taught/pretrain@40',
      skipped: data.corrupt.length,
      parts: 3,
    });
    const own = await oneByOne();
    for (const kind of ['images', 'texts'] as const) {
      const [made, known] = [(await rowsOf('emoji', kind)).sort(byKey), own[kind].sort(byKey)];
      expect(made.map(({ key }) => key)).toEqual(known.map(({ key }) => key));
      expect(Math.max(...made.map(({ row }, i) => nearTo(row, known[i]!.row)))).toBeLessThan(2e-5);
    }
    expect(report.texts).toEqual({
      en: own.texts.filter(({ key }) => key.language === 'en').length,
      de: own.texts.filter(({ key }) => key.language === 'de').length,
    });

    // Done: no device is asked again, and another start answers the same.
    jobs.length = 0;
    expect(await embed(input(), depsOf())).toEqual({ begun: { ...begun, done: true }, report });
    expect(jobs).toEqual([]);

    // The same under another name, by workers that die with each part made, and with each kept.
    const died = new Set<string>();
    let points = 0;
    const dying = depsOf({
      onPoint: async (point) => {
        if (died.has(`${point} ${points}`)) return;
        died.add(`${point} ${points++}`);
        if (points % 2 === 1) throw new Error('died');
      },
    });
    await embed(input({ name: 'again' }), dying);
    expect(died.size).toBeGreaterThan(2);
    const partsBy = async (name: string) => {
      const parts: EmbeddingPart[] = [];
      for await (const part of partsOf(data.store, await readEmbeddings(data.store, name))) parts.push(part);
      return parts;
    };
    const hashes = async (name: string) =>
      Promise.all((await partsBy(name)).map(async ({ key }) => sha256(await data.store.get(key))));
    expect(await hashes('again')).toEqual(await hashes('emoji'));
  });

  it('are found by texts and pictures as a sort of all cosines finds them, copies by their keys', async () => {
    const { store, env } = data;
    const scratch = process.env.SIGLIP2_SCRATCH;
    process.env.SIGLIP2_SCRATCH = env.SIGLIP2_SCRATCH!;
    const folder = mkdtempSync(join(tmpdir(), 'siglip2-search-'));
    try {
      const images = await rowsOf('emoji', 'images');
      const [first] = data.index.shards;
      const entry = (await data.index.entriesOf(0)).at(7);
      const body = await store.get(first!.key, entry.image);
      writeFileSync(join(folder, 'picture'), body);
      const of = { top: 9, among: 'images', say: () => {} } as const;
      const found = await searchEmbeddings(store, 'emoji', { image: join(folder, 'picture') }, of);
      const own = images.find(({ key }) => key.shard === first!.key && key.name === entry.name)!;
      const cosine = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, i) => sum + value * b[i]!, 0);
      const sorted = images
        .map(({ key, row }) => ({ ...key, cosine: cosine(own.row, row) }))
        .sort((a, b) => b.cosine - a.cosine);
      expect(found[0]).toMatchObject({ shard: own.key.shard, name: own.key.name });
      for (const [i, one] of found.entries()) expect(one.cosine).toBeCloseTo(sorted[i]!.cosine, 5);
      expect(new Set(found.map(({ name }) => name))).toEqual(new Set(sorted.slice(0, 9).map(({ name }) => name)));

      const texts = await rowsOf('emoji', 'texts');
      const asked = { ...of, among: 'texts', top: texts.length } as const;
      const all = await searchEmbeddings(store, 'emoji', { text: 'A red APPLE' }, asked);
      expect(all).toHaveLength(texts.length);
      for (let i = 1; i < all.length; i++) {
        const [a, b] = [all[i - 1]!, all[i]!];
        expect(a.cosine > b.cosine || (a.cosine === b.cosine && `${a.shard} ${a.name}` <= `${b.shard} ${b.name}`)).toBe(
          true,
        );
      }
      // Styles of one emoji have the same caption: equal cosines, told by key, also where the list ends among them.
      const some = await searchEmbeddings(store, 'emoji', { text: 'a red apple' }, { ...asked, top: 3 });
      expect(some).toEqual(all.slice(0, 3));
      expect(some[0]!.cosine).toBe(some[2]!.cosine);
    } finally {
      process.env.SIGLIP2_SCRATCH = scratch;
      rmSync(folder, { recursive: true });
    }
  });

  it('may be raw, with patches, and of pictures alone', async () => {
    await embed(input({ name: 'raw', rows: 'raw', patches: true }), depsOf({ examplesOfPart: 400 }));
    for (const kind of ['images', 'texts'] as const) {
      const [raw, unit] = [await rowsOf('raw', kind), (await rowsOf('emoji', kind)).sort(byKey)];
      const lengths = raw.map(({ row }) => Math.hypot(...row));
      expect(Math.max(...lengths) - Math.min(...lengths)).toBeGreaterThan(0.01);
      for (const [i, { row }] of raw.sort(byKey).entries()) {
        const length = Math.hypot(...row);
        expect(
          nearTo(
            row.map((value) => value / length),
            unit[i]!.row,
          ),
        ).toBeLessThan(1e-5);
      }
    }
    const { vision } = data.model;
    const [patch] = await rowsOf('raw', 'patches');
    expect(patch!.row).toHaveLength(vision.width * Math.floor(vision.resolution / vision.patch) ** 2);
    const { report } = await embed(input({ name: 'alone', of: ['images'] }), depsOf({ examplesOfPart: 1000 }));
    expect(report).toMatchObject({ texts: {}, parts: 1 });
  });

  it('are refused before anything is made, in one sentence each', async () => {
    const refused = async (changes: object) =>
      planEmbeddings(depsOf(), input(changes), on.attempt()).then(
        () => 'accepted',
        ({ message }: Error) => message,
      );
    expect(await refused({ resize: 'bicubic', case: 'kept' })).toMatch(
      /^siglip2Embed can't begin: .*; resize and case can't be set: pictures and texts are prepared as the model was trained; see/,
    );
    expect(await refused({ patches: true, of: ['texts'] })).toMatch(/patches are of pictures, and of has none/);
    expect(await refused({ maxNumPatches: 64 })).toMatch(
      /maxNumPatches is 64, and the model sees squares of 16 pixels/,
    );
    expect(await refused({ languages: ['en'] })).toMatch(
      /^embeddings emoji are there already, of another model, other data/,
    );
    expect(await refused({ model: 'taught' })).toMatch(/^taught is a run; type RUN\/PHASE/);
    expect(await refused({ name: 'other', model: '/nowhere' })).toMatch(/^there is no model folder \/nowhere/);
  });

  it('are listed, hold their model, and are removed with their hold', async () => {
    const { store } = data;
    const lines: string[] = [];
    for await (const line of listRuns(store)) lines.push(line);
    const own = lines.filter((line) => line.startsWith('embeddings/'));
    expect(own.map((line) => line.split(' ')[0])).toEqual(
      ['again', 'alone', 'emoji', 'raw'].map((name) => `embeddings/${name}`),
    );
    expect(own[2]).toMatch(/\d+ examples of data\/emoji\/train by taught\/pretrain@40, \d/);
    const holders = async () =>
      (await pinsOf(store, { run: 'taught', phase: 'pretrain' })).map(({ who }) => who).sort();
    expect(await holders()).toEqual(['embeddings-again', 'embeddings-alone', 'embeddings-emoji', 'embeddings-raw']);
    const removed = async (yes: boolean) => {
      const told: string[] = [];
      for await (const line of removeEmbeddings(store, 'again', yes)) told.push(line);
      return told.at(-1);
    };
    expect(await removed(false)).toBe('nothing is deleted yet: add --yes');
    expect(await removed(true)).toBe('deleted');
    expect(await holders()).toEqual(['embeddings-alone', 'embeddings-emoji', 'embeddings-raw']);
    for await (const { key } of store.list('embeddings/again')) throw new Error(`${key} is left`);
    await expect(readEmbeddings(store, 'again')).rejects.toThrow(/^there are no embeddings again in bucket/);
  });

  it('say so when a part or a list is not what was committed', async () => {
    const { store } = data;
    const [first] = await (async () => {
      const parts: EmbeddingPart[] = [];
      for await (const part of partsOf(store, await readEmbeddings(store, 'alone'))) parts.push(part);
      return parts;
    })();
    const bytes = await store.get(first!.key);
    bytes[bytes.length - 1]! ^= 1;
    await store.put(first!.key, bytes);
    await expect(rowsOf('alone', 'images')).rejects.toMatchObject({ code: 'DataContract' });
    const { id } = await readEmbeddings(store, 'raw');
    await store.put(`embeddings/raw/${id}/parts-000000.jsonl`, '{}\n');
    await expect(rowsOf('raw', 'images')).rejects.toThrow(
      /parts-000000.jsonl is not what was committed; npm run siglip2 -- rm/,
    );
  });
});
