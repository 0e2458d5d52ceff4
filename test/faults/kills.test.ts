import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { findCommits } from '../../src/checkpoint/commits.ts';
import { fetchMetrics } from '../../src/commands/fetch-metrics.ts';
import { LogReader } from '../../src/run-logs/read.ts';
import { isAlive } from '../../src/runtime/services-state.ts';
import type { RecipeResult } from '../../workflows/results.ts';
import { img2dataset, picture } from '../data/img2dataset.ts';
import { tarOf } from '../data/tar-file.ts';
import { linesOf } from '../run-logs/fixture.ts';
import { long } from '../support/long.ts';
import { type Site, startSite, tinyRecipe, type Victim, Watched } from './harness.ts';
import { latestStep, verifyCommits } from './verify.ts';

const patience = 600_000;
const total = 400;
/** Two shards, of five commits each. What evaluation makes of a run that was disturbed, graph and acid show. */
const recipe = tinyRecipe({
  data: { train: 'data/emoji/train' },
  schedule: { total: { steps: total }, warmup: { steps: 20 } },
});
let site: Site;
/** What the undisturbed run ends with, and the curve that it draws. */
let expected: string;
let curve: readonly object[];

beforeAll(async () => {
  site = await startSite();
  const run = await site.start('undisturbed', recipe);
  expected = (await run.result()).phases[0]!.checkpoint.sha256;
  curve = await curveOf('undisturbed');
  expect(curve).toHaveLength(total);
  expect(curve.at(-1)).toMatchObject({
    step: total,
    'loss/mean': expect.any(Number),
    learningRate: expect.any(Number),
    'clipped/mean': expect.any(Number),
    'language/en/drawn': 1,
    'norm/updates/imageBlocks': expect.any(Number),
  });
}, patience);
afterAll(() => site?.stop(), patience);

const start = async (run: string) => new Watched(site, await site.start(run, recipe));

/** Of a worker's environment its trainer has what it needs. Linux alone shows it. */
function expectFewVariables(trainer: number, worker: number): void {
  if (process.platform !== 'linux') return;
  const names = (pid: number) =>
    readFileSync(`/proc/${pid}/environ`, 'utf8')
      .split('\0')
      .map((line) => line.split('=')[0]);
  expect(names(worker)).toEqual(expect.arrayContaining(['SIGLIP2_METRICS', 'TEMPORAL_ADDRESS', 'AWS_ENDPOINT_URL']));
  expect(names(trainer)).toContain('AWS_ENDPOINT_URL');
  expect(names(trainer).filter((name) => /^(TEMPORAL_|SIGLIP2_METRICS|npm_)/.test(name!))).toEqual([]);
}

/** What `siglip2 metrics` fetches, without what every run of a machine has its own of: times, rates and memory. */
async function curveOf(run: string): Promise<object[]> {
  const folder = mkdtempSync(join(tmpdir(), 'curve-'));
  try {
    await fetchMetrics(site.store, run, folder);
    const lines = readFileSync(join(folder, 'pretrain.jsonl'), 'utf8').trim().split('\n');
    const own = /^(time|examplesPerSecond|dataWaitShare|memory\/.*)$/;
    return lines.map((line) =>
      Object.fromEntries(Object.entries(JSON.parse(line) as object).filter(([name]) => !own.test(name))),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** It ends, every commit is whole and follows the one before, and the last is the undisturbed one, as is its curve. */
async function expectUndisturbed({ name, result }: Watched): Promise<void> {
  expect((await result).phases[0]!.checkpoint).toMatchObject({ step: total, sha256: expected });
  const commits = await verifyCommits(site.store, name);
  expect(commits.filter(({ step }) => step % 40 !== 0)).toEqual([]);
  expect(commits.at(-1)).toMatchObject({ step: total, sha256: expected });
  expect(await latestStep(site.store, name, 'pretrain')).toBe(total);
  expect(await curveOf(name)).toEqual(curve);
}

/** Whatever a worker said of a run is in its log in the bucket some seconds later, whoever was killed; returns it. */
async function expectLogged({ name }: Watched): Promise<string[]> {
  const said = site
    .log('worker')
    .split('\n')
    .filter((line) => line.includes(`"run":"${name}"`) && line.includes('"phase":"pretrain"'))
    .map((line) => JSON.parse(line).msg as string);
  // Of some commits a kill came before the line that tells of them.
  expect(said.filter((text) => text.startsWith('committed step')).length).toBeGreaterThan(5);
  const logged = async () =>
    (await linesOf(new LogReader(site.store, { run: name, phase: 'pretrain' }))).map(({ text }) => text);
  await expect.poll(logged, { timeout: 60_000 }).toEqual(expect.arrayContaining(said));
  return logged();
}

describe('a run ends by itself, with the state of an undisturbed run of another name, after kill -9 of', () => {
  it(
    'its worker, whose trainer ends with it, or is ended before the next begins when it hangs',
    async () => {
      const run = await start('worker-killed');
      expect(await run.reach(80)).toBeLessThan(total);
      const first = site.trainer()!;
      expect(isAlive(first)).toBe(true);
      expectFewVariables(first.pid, site.process('worker')!.pid);
      const worker = site.kill('worker');
      await run.until(() => !isAlive(first));
      // By itself: no other trainer had the device yet.
      expect(site.trainer()).toEqual(first);
      await verifyCommits(site.store, run.name);

      await run.until(() => site.trainer()!.pid !== first.pid);
      expect(await run.reach(240)).toBeLessThan(total);
      const second = site.trainer()!;
      // In the middle of a step that takes for ever.
      process.kill(second.pid, 'SIGSTOP');
      site.kill('worker');
      await run.until(() => site.trainer()!.pid !== second.pid);
      expect(isAlive(second)).toBe(false);

      await expectUndisturbed(run);
      expect([worker, first, second].filter(isAlive)).toEqual([]);
      const logged = await expectLogged(run);
      expect(logged).toContainEqual(expect.stringMatching(/^the worker was killed after this/));
      expect(logged).toContainEqual(expect.stringMatching(/^begins, attempt \d/));
    },
    patience,
  );

  it(
    'its trainer, which the same worker starts again',
    async () => {
      const run = await start('trainer-killed');
      expect(await run.reach(120)).toBeLessThan(total);
      const worker = site.process('worker');
      const trainer = site.kill('trainer');
      await verifyCommits(site.store, run.name);
      await expectUndisturbed(run);
      expect(site.trainer()).not.toEqual(trainer);
      expect(site.process('worker')).toEqual(worker);
      expect(await expectLogged(run)).toContainEqual(expect.stringMatching(/^the trainer process ended by SIGKILL/));
    },
    patience,
  );

  it(
    'the S3 server and then the Temporal server, while worker and trainer live on',
    async () => {
      const run = await start('servers-killed');
      const before: unknown[] = [];
      const killed: unknown[] = [];
      const servers = ['s3', 'temporal'] as const;
      for (const [i, server] of servers.entries()) {
        expect(await run.reach([80, 240][i]!)).toBeLessThan(total);
        before.push([site.process('worker'), site.trainer()]);
        killed.push(site.kill(server));
      }
      await expectUndisturbed(run);
      const alive = [site.process('worker'), site.trainer()];
      expect(before).toEqual([alive, alive]);
      servers.forEach((server, i) => void expect(site.process(server)).not.toEqual(killed[i]));
    },
    patience,
  );
});

describe('a run on a mixture of three sources, each in a layout of its own, with curation, and in the long form with pictures of any shape', () => {
  /** Own JSON, one text a picture as img2dataset has it, and several of which one is drawn. */
  const weights = { own: 5, web: 3, many: 2 };
  const mixture = [
    {
      name: 'own',
      train: 'data/emoji/train',
      weight: weights.own,
      languages: [
        { language: 'en', weight: 3 },
        { language: 'de', weight: 1 },
      ],
    },
    { name: 'web', train: 'data/web', weight: weights.web, read: { captions: 'txt' } },
    {
      ...{ name: 'many', train: 'data/many', weight: weights.many },
      read: { captions: 'json', fields: [{ field: 'alt' }, { field: 'captions', weight: 3, templates: ['a {}.'] }] },
    },
  ];
  const shapes = {
    ...{ name: 'shapes', from: 'pretrain', batch: 16, window: { from: { steps: 60 } } },
    vision: { naflex: { lengths: [4] } },
  };
  const mixed = tinyRecipe({
    data: { mixture, resize: 'antialias' },
    schedule: { total: { steps: 80 }, warmup: { steps: 10 } },
    phases: [
      { name: 'pretrain', batch: 32 },
      ...(long ? [shapes] : []),
      {
        ...{ name: 'acid', from: 'pretrain', batch: 16, window: { from: { steps: 60 } } },
        curation: { teacher: 'pretrain', filterRatio: 0.5, chunks: 2, scoring: 'online' },
      },
    ],
    checkpoint: { every: { steps: 10 }, shard: { steps: 40 } },
  });

  it(
    'draws by the weights, and ends in the same bytes when worker and trainer are killed in each phase',
    async () => {
      const words = ['cat', 'dog', 'sun', 'moon', 'tree'];
      await site.store.put('data/web/0.tar', await img2dataset(Array.from({ length: 60 }, (_, i) => words[i % 5]!)));
      const many = Array.from({ length: 40 }, async (_, i) => [
        { name: `${i}.jpg`, body: await picture(i) },
        { name: `${i}.json`, body: JSON.stringify({ alt: words[i % 5], captions: ['heart', words[(i + 1) % 5]] }) },
      ]);
      await site.store.put('data/many/0.tar', tarOf((await Promise.all(many)).flat()));
      const calm = await (await site.start('mixed', mixed)).result();
      const run = new Watched(site, await site.start('mixed-killed', mixed));
      const kill = (victim: Victim) =>
        run.until(() => {
          try {
            return site.kill(victim);
          } catch {
            return false;
          }
        });
      const reach = (phase: string, step: number) =>
        run.until(async () => {
          const found = await findCommits(site.store, { run: run.name, phase }).catch(() => []);
          return found.some((at) => at.step >= step);
        });
      await reach('pretrain', 10);
      await kill('trainer');
      await reach('pretrain', 40);
      await kill('worker');
      await run.until(async () => {
        const found = await findCommits(site.store, { run: run.name }).catch(() => []);
        return found.some(({ phase }) => phase !== 'pretrain');
      });
      await kill('trainer');
      const killed = await run.result;
      const shaOf = ({ phases }: RecipeResult) => phases.map(({ phase, checkpoint }) => [phase, checkpoint.sha256]);
      expect(shaOf(killed)).toEqual(shaOf(calm));
      expect(shaOf(calm).map(([phase]) => phase)).toEqual(['pretrain', ...(long ? ['shapes'] : []), 'acid']);
      const drawn = (await curveOf(run.name)) as Record<string, number>[];
      const sum = Object.values(weights).reduce((a, b) => a + b, 0);
      for (const [name, weight] of Object.entries(weights)) {
        const shares = drawn.map((values) => values[`source/${name}/drawn`] ?? 0);
        const share = shares.reduce((a, b) => a + b, 0) / shares.length;
        expect(Math.abs(share - weight / sum), `the share of ${name}, ${share}`).toBeLessThan(0.01);
      }
      await verifyCommits(site.store, run.name);
    },
    patience,
  );
});
