import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fetchMetrics } from '../../src/commands/fetch-metrics.ts';
import { isAlive } from '../../src/runtime/services-state.ts';
import { type Site, startSite, tinyRecipe, Watched } from './harness.ts';
import { latestStep, verifyCommits } from './verify.ts';

const patience = 600_000;
const total = 800;
let site: Site;
/** What the undisturbed run ends with, and the curve that it draws. */
let expected: string;
let curve: readonly object[];

beforeAll(async () => {
  site = await startSite();
  const run = await site.start('undisturbed', tinyRecipe());
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

const start = async (run: string) => new Watched(site, await site.start(run, tinyRecipe()));

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

describe('a run ends by itself, with the state of an undisturbed run of another name, after kill -9 of', () => {
  it(
    'its worker, whose trainer ends with it, or is ended before the next begins when it hangs',
    async () => {
      const run = await start('worker-killed');
      expect(await run.reach(200)).toBeLessThan(total);
      const first = site.trainer()!;
      expect(isAlive(first)).toBe(true);
      expectFewVariables(first.pid, site.process('worker')!.pid);
      const worker = site.kill('worker');
      await run.until(() => !isAlive(first));
      // By itself: no other trainer had the device yet.
      expect(site.trainer()).toEqual(first);
      await verifyCommits(site.store, run.name);

      await run.until(() => site.trainer()!.pid !== first.pid);
      expect(await run.reach(480)).toBeLessThan(total);
      const second = site.trainer()!;
      // In the middle of a step that takes for ever.
      process.kill(second.pid, 'SIGSTOP');
      site.kill('worker');
      await run.until(() => site.trainer()!.pid !== second.pid);
      expect(isAlive(second)).toBe(false);

      await expectUndisturbed(run);
      expect([worker, first, second].filter(isAlive)).toEqual([]);
    },
    patience,
  );

  it(
    'its trainer, which the same worker starts again',
    async () => {
      const run = await start('trainer-killed');
      expect(await run.reach(280)).toBeLessThan(total);
      const worker = site.process('worker');
      const trainer = site.kill('trainer');
      await verifyCommits(site.store, run.name);
      await expectUndisturbed(run);
      expect(site.trainer()).not.toEqual(trainer);
      expect(site.process('worker')).toEqual(worker);
    },
    patience,
  );

  it.each(['s3', 'temporal'] as const)(
    'the server %s, while worker and trainer live on',
    async (server) => {
      const run = await start(`${server}-killed`);
      expect(await run.reach(280)).toBeLessThan(total);
      const before = [site.process('worker'), site.trainer()];
      const killed = site.kill(server);
      await expectUndisturbed(run);
      expect([site.process('worker'), site.trainer()]).toEqual(before);
      expect(site.process(server)).not.toEqual(killed);
    },
    patience,
  );
});
