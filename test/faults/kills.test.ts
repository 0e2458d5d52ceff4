import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isAlive } from '../../src/runtime/services-state.ts';
import { type Site, startSite, tinyRecipe, Watched } from './harness.ts';
import { latestStep, verifyCommits } from './verify.ts';

const patience = 600_000;
const total = 800;
let site: Site;
/** What the undisturbed run ends with. */
let expected: string;

beforeAll(async () => {
  site = await startSite();
  const run = await site.start('undisturbed', tinyRecipe());
  expected = (await run.result()).phases[0]!.checkpoint.sha256;
}, patience);
afterAll(() => site?.stop(), patience);

const start = async (run: string) => new Watched(site, await site.start(run, tinyRecipe()));

/** It ends, every commit is whole and follows the one before, and the last is the undisturbed one. */
async function expectUndisturbed({ name, result }: Watched): Promise<void> {
  expect((await result).phases[0]!.checkpoint).toMatchObject({ step: total, sha256: expected });
  const commits = await verifyCommits(site.store, name);
  expect(commits.filter(({ step }) => step % 40 !== 0)).toEqual([]);
  expect(commits.at(-1)).toMatchObject({ step: total, sha256: expected });
  expect(await latestStep(site.store, name, 'pretrain')).toBe(total);
}

describe('a run ends by itself, with the state of an undisturbed run of another name, after kill -9 of', () => {
  it(
    'its worker, whose trainer ends with it, or is ended before the next begins when it hangs',
    async () => {
      const run = await start('worker-killed');
      expect(await run.reach(200)).toBeLessThan(total);
      const first = site.trainer()!;
      expect(isAlive(first)).toBe(true);
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
