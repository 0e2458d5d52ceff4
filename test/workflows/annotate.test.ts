import { readdirSync, readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Client, WorkflowFailedError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { annotateShard } from '../../activities/annotate-shard.ts';
import { createActivities } from '../../activities/index.ts';
import { planAnnotation } from '../../activities/plan-annotation.ts';
import { parseAnnotation } from '../../src/annotation/settings.ts';
import { annotationId, followAnnotation, formatAnnotation, startAnnotation } from '../../src/commands/annotate.ts';
import { openBatches } from '../../src/data/batches/batches.ts';
import { regionKey } from '../../src/data/index/region-file.ts';
import { lookAt } from '../../src/plan/look.ts';
import { phaseSettings } from '../../src/recipe/settings.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';
import { annotateQueue } from '../../workflows/policies.ts';
import type { AnnotationResult, AnnotationStatus } from '../../workflows/results.ts';
import { type Hands, hands } from '../activities/fixture.ts';
import { fixture } from '../annotation/expected.ts';
import { type Drawn, drawSquares, shardOf } from '../annotation/squares.ts';
import { whole } from '../data/batches/whole.ts';
import { tinyRecipe } from '../faults/harness.ts';
import { startServer, type TestServer } from '../storage/versitygw.ts';
import { type Stoppable, testTemporal } from './harness.ts';
import { keepHistory } from './histories.ts';

// Real pictures, a real detector whose right answers are known, S3 and Temporal.
const temporal = testTemporal();
const perShard = 12;
let server: TestServer;
let store: S3ObjectStore;
let on: Hands;
let drawn: Drawn[];

beforeAll(async () => {
  server = await startServer();
  store = server.store();
  on = hands();
  drawn = await Promise.all(Array.from({ length: 3 * perShard }, (_, i) => drawSquares(i)));
  for (const shard of [0, 1, 2]) {
    const own = drawn.slice(shard * perShard, (shard + 1) * perShard);
    const broken = { name: `broken-${shard}.txt`, body: 'no picture' };
    await store.put(`data/squares/${shard}.tar`, shardOf(own, [broken]));
  }
  for (const name of readdirSync(fixture('colours')))
    await store.put(`models/colours/${name}`, readFileSync(fixture(`colours/${name}`)));
  await serve();
});
afterAll(async () => {
  stop?.();
  await ended;
  await on.close();
  await server.stop();
});

const input = (out: string, changes: object = {}) => ({
  data: 'data/squares',
  read: { captions: 'txt' },
  detector: 'models/colours',
  out,
  templates: ['{}'],
  ...changes,
});

/** Where processes die. */
let onPoint: (point: string) => void = () => {};
let client: Client;
let devices: Stoppable;
let stop: () => void;

/** Real workers for all tests. */
function serve(): Promise<void> {
  const real = createActivities(on.deps(store, { onPoint: (point) => onPoint(point) }));
  const serving = new Promise<void>((serves, fails) => {
    const stopped = new Promise<void>((resolve) => {
      stop = resolve;
    });
    const { planAnnotation, annotateShard } = real;
    const work = async (own: Client, _: Stoppable, detectors: Stoppable) => {
      [client, devices] = [own, detectors];
      serves();
      await stopped;
    };
    ended = temporal.serving({ planAnnotation, annotateShard }, work, annotateQueue);
    ended.catch(fails);
  });
  return serving;
}
let ended: Promise<void>;

/** Runs an annotation to its end. */
async function annotate(id: string, of: unknown, ...before: object[]): Promise<AnnotationResult> {
  const handle = await client.workflow.start('siglip2Annotate', {
    ...{ taskQueue: 'siglip2', workflowId: id, args: [of, ...before] },
  });
  const result = (await handle.result()) as AnnotationResult;
  expect(await handle.query<AnnotationStatus>('annotation')).toEqual({ state: 'done', ...result });
  return result;
}

const problemOf = (id: string, of: unknown, ...before: object[]) =>
  annotate(id, of, ...before).then(
    () => null,
    (error: WorkflowFailedError) => error.cause?.message,
  );

const linesOf = async (out: string, shard: number) => {
  const text = (await store.get(regionKey(out, `data/squares/${shard}.tar`))).toString();
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
};

const keysBelow = async (prefix: string) => {
  const keys: string[] = [];
  for await (const { key } of store.list(prefix)) keys.push(key);
  return keys;
};

describe('an annotation', () => {
  it('writes the true regions of every shard beside the data, says what they came to, and leaves the data alone', async () => {
    const before = await Promise.all([0, 1, 2].map((shard) => store.head(`data/squares/${shard}.tar`)));
    const result = await annotate('squares', input('regions/squares'));
    await keepHistory(client, 'squares', 'annotation.json');
    const truth = drawn.flatMap(({ regions }) => regions).length;
    expect(result).toMatchObject({
      shards: { done: 3, all: 3 },
      out: 'regions/squares',
      counts: { pictures: 36, unasked: 0, boxes: { kept: truth, proposed: 36 * 371 } },
      broken: { members: 3, reasons: [{ reason: 'no image member', members: 3 }] },
    });
    for (const shard of [0, 1, 2]) {
      const [header, ...lines] = await linesOf('regions/squares', shard);
      expect(header).toMatchObject({ version: 1, examples: lines.length, shard: { etag: before[shard]!.etag } });
      const own = drawn.slice(shard * perShard, (shard + 1) * perShard).filter(({ regions }) => regions.length > 0);
      expect(lines.map(({ name }) => name)).toEqual(own.map(({ name }) => name));
      for (const [i, { regions }] of own.entries()) {
        const sorted = (some: readonly { caption: string }[]) =>
          [...some].sort((a, b) => (a.caption < b.caption ? -1 : 1));
        const found = sorted(lines[i].regions) as unknown as { caption: string; box: number[]; score: number }[];
        expect(found.map(({ caption }) => caption)).toEqual(sorted(regions).map(({ caption }) => caption));
        for (const { score } of found) expect(score).toBeGreaterThan(0.97);
      }
    }
    expect(await Promise.all([0, 1, 2].map((shard) => store.head(`data/squares/${shard}.tar`)))).toEqual(before);
    expect(await readdir(join(on.folder, 'scratch', 'annotate'))).toEqual([]);
  });

  it('goes on when its workers die after a shard was scored and after one was stored, and ends with the same bytes', async () => {
    const deaths: string[] = [];
    onPoint = (point) => {
      if (deaths.includes(point)) return;
      deaths.push(point);
      throw new Error('died');
    };
    const { counts } = await annotate('dies', input('regions/dies'));
    expect(deaths).toEqual(['scored', 'stored']);
    expect(counts!.pictures).toBe(36);
    for (const shard of [0, 1, 2]) {
      const key = (of: string) => regionKey(of, `data/squares/${shard}.tar`);
      expect((await store.get(key('regions/dies'))).equals(await store.get(key('regions/squares')))).toBe(true);
    }
  });

  it('that is started again adopts what is there and makes what is missing', async () => {
    const lost = regionKey('regions/squares', 'data/squares/1.tar');
    const bytes = await store.get(lost);
    await store.delete(lost);
    const made: string[] = [];
    onPoint = (point) => void made.push(point);
    const first = await annotate('squares', input('regions/squares'));
    expect(made).toEqual(['scored', 'stored']);
    expect(first.counts!.pictures).toBe(36);
    expect((await store.get(lost)).equals(bytes)).toBe(true);
    // From a folder of the worker the same detector is another version of its files, and has its own prefix.
    const local = input('regions/local', { detector: fixture('colours') });
    const { counts } = await annotate('local', local);
    expect(counts).toEqual(first.counts);
    expect(await keysBelow('regions/local/data')).toHaveLength(3);
  });

  it('goes on when its worker is stopped within a shard, and when it is continued as new', async () => {
    const begun = new Promise<void>((resolve) => {
      onPoint = () => resolve();
    });
    const handle = await client.workflow.start('siglip2Annotate', {
      ...{ taskQueue: 'siglip2', workflowId: 'stopped', args: [input('regions/stopped')] },
    });
    await begun;
    await devices.stop();
    await devices.start();
    const done = (await handle.result()) as AnnotationResult;
    expect(done.counts!.pictures).toBe(36);
    // What one history hands to the next: the plan, how many shards are done, and what they came to.
    const [key] = (await keysBelow('regions/stopped/annotation-')) as [string];
    const plan = { document: { key, sha256: sha256(await store.get(key)) }, shards: 3, out: 'regions/stopped' };
    const { counts, bytes, broken } = done;
    const rest = await annotate('next', input('regions/stopped'), { plan, done: 2, totals: { counts, bytes, broken } });
    await keepHistory(client, 'next', 'annotation-next-of-many.json');
    expect(rest.shards).toEqual({ done: 3, all: 3 });
    expect(rest.counts!.pictures).toBe(36 + 12);
    expect(rest.broken).toMatchObject({ members: 4, reasons: [{ members: 4 }] });
  });

  it('of a shard goes on from the examples that an attempt has done before it was stopped', async () => {
    const deps = on.deps(store);
    const plan = await planAnnotation(deps, input('regions/half'), on.attempt());
    const stopping = new AbortController();
    const first = on.attempt({ signal: stopping.signal });
    const own = server.store();
    const put = own.put.bind(own);
    let parts = 0;
    own.put = async (...of) => {
      const done = await put(...of);
      if (++parts === 4) stopping.abort();
      return done;
    };
    const half = annotateShard(on.deps(own), { plan, shard: 0 }, first, 0);
    await expect(half).rejects.toThrow('stopped before the shard was annotated');
    expect(await keysBelow('regions/half/unfinished/')).toHaveLength(4);
    const whole = await annotateShard(deps, { plan, shard: 0 }, on.attempt(), 0);
    expect(whole.counts.pictures).toBe(12);
    expect(await keysBelow('regions/half/unfinished/')).toEqual([]);
    const key = (of: string) => regionKey(of, 'data/squares/0.tar');
    expect((await store.get(key('regions/half'))).equals(await store.get(key('regions/squares')))).toBe(true);
  });

  it('is planned with and trained on by the loader, and missed where a shard has none', async () => {
    const of = (regions: string) =>
      tinyRecipe({
        data: { train: 'data/squares', read: { captions: 'txt' }, regions, maxBroken: 0.1 },
        phases: [{ name: 'pretrain', batch: 16, objectives: { sigmoid: 1, captioning: {} } }],
      });
    const look = (regions: string) => lookAt(of(regions), { open: () => store });
    const { sight, data, recipe: read } = await look('regions/squares');
    expect(sight.problems).toEqual([]);
    const settings = phaseSettings(read!, read!.phases[0]!, { ...data!.epochs, vocabulary: null });
    const env = { ...process.env, ...server.environment, SIGLIP2_SCRATCH: join(on.folder, 'loader') };
    // Eight tokens, as this tiny model has them, are too few for a box.
    const plan = { ...settings.batches, textLength: 32 };
    const source = openBatches({ index: data!.main.document, plan, firstBatch: 0, env });
    const { parts } = await whole(await source.next());
    await source.close();
    // Referring and grounded captioning, the second and third text of each example, are there now.
    const targets = parts.targets as Int32Array;
    const said = Array.from({ length: 16 }, (_, i) =>
      targets.subarray((3 * i + 1) * 32, (3 * i + 3) * 32).some(Boolean),
    );
    expect(said.filter(Boolean).length).toBeGreaterThan(12);
    expect((await look('regions/none')).sight.problems.map(({ message }) => message)).toEqual([
      'data.regions: of the 3 shards 3 have no regions below regions/none/: data/squares/0.tar needs regions/none/data/squares/0.regions.jsonl; npm run siglip2 -- data annotate makes regions, src/annotation/README.md says how',
    ]);
  });

  it('is started, followed and told of by the command', async () => {
    const settings = parseAnnotation(input('regions/typed'));
    const id = await startAnnotation(client, settings);
    expect(id).toBe('annotate-regions-typed');
    expect(await startAnnotation(client, settings)).toBe(annotationId('regions/typed'));
    await expect(startAnnotation(client, parseAnnotation(input('regions/typed', { nms: 1 })))).rejects.toThrow(
      'annotate-regions-typed is open with other settings: wait for its end, or temporal workflow cancel --workflow-id annotate-regions-typed',
    );
    const said: string[] = [];
    const result = await followAnnotation(client, id, (line) => said.push(line), 50);
    expect(said.length).toBeGreaterThan(0);
    for (const line of said) expect(line).toMatch(/^(\d of [03] shards, \d+ pictures|no worker answers)/);
    expect(formatAnnotation(result)).toMatch(
      /^\d+ regions in 3\d of 36 pictures of 3 shards, below regions\/typed\/\nasked: [\d,]+ queries of captions, 0 of categories; nothing to ask of 0 pictures\n.*\n3 members could not be used:\n {2}3 times: no image member \(.*\)\nPut this into the data of the recipe:\n {2}"regions": "regions\/typed"\n$/,
    );
    const none = await startAnnotation(client, parseAnnotation(input('regions/typed', { detector: 'models/none' })));
    await expect(followAnnotation(client, none, () => {}, 50)).rejects.toMatchObject({
      code: 'DataContract',
      message: expect.stringMatching(/^detector: s3:\/\/test\/models\/none\/ has no/),
    });
  });

  it('refuses what can not be, in one sentence each', async () => {
    const wrong = { ...input('x'), datum: 1, detector: 's3://b/models', boxThreshold: 2 };
    expect(await problemOf('wrong', wrong)).toMatch(
      /^siglip2Annotate can't begin: detector is "s3:\/\/b\/models"; allowed: a prefix of the bucket, or a folder of the workers, such as \/opt\/owlv2; boxThreshold is 2; allowed: .*<=1; Unrecognized key: "datum"; allowed: data, read, detector, out.*; see src\/annotation\/README.md$/,
    );
    expect(await problemOf('two', input('x'), { data: 'y' })).toMatch(/^siglip2Annotate takes one JSON document/);
    expect(await problemOf('none', input('x', { detector: 'models/none' }))).toBe(
      'detector: s3://test/models/none/ has no preprocessor_config.json, tokenizer.json, model.onnx: nothing lies there; needed is OWL-ViT or OWLv2 as ONNX, as src/annotation/README.md says how to make it',
    );
    expect(await problemOf('other', input('regions/squares', { nms: 0.5 }))).toMatch(
      /squares\/\d\.regions\.jsonl has regions made with another detector or other settings: name another prefix for these, or delete it$/,
    );
    expect(await problemOf('nothing', input('x', { ngrams: { most: 0 } }))).toMatch(
      'ngrams.most is 0 and there are no categories: nothing would be asked',
    );
  });

  it('notices regions of a shard that was replaced, and ones that were cut short', async () => {
    const key = regionKey('regions/squares', 'data/squares/2.tar');
    const [regions, shard] = [await store.get(key), await store.get('data/squares/2.tar')];
    await store.put(key, regions.subarray(0, -100));
    expect(await problemOf('cut', input('regions/squares'))).toMatch(
      /is no file of regions, or was cut short: delete it/,
    );
    const changed = Buffer.from(regions);
    changed[changed.length - 20]! ^= 1;
    await store.put(key, changed);
    expect(await problemOf('damaged', input('regions/squares'))).toMatch(/is damaged: its lines have another sha256/);
    await store.put(key, regions);
    await store.put('data/squares/2.tar', Buffer.concat([shard, Buffer.alloc(512)]));
    expect(await problemOf('replaced', input('regions/squares'))).toMatch(
      /has regions of a data\/squares\/2.tar that was replaced since: name another prefix/,
    );
    await store.put('data/squares/2.tar', shard);
  });
});
