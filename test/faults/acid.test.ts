import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { planPhase } from '../../activities/plan-phase.ts';
import { findCommits } from '../../src/checkpoint/commits.ts';
import { parseScoreKey, runPrefix } from '../../src/checkpoint/keys.ts';
import { findUnreferenced } from '../../src/checkpoint/sweep.ts';
import { fetchMetrics } from '../../src/commands/fetch-metrics.ts';
import { readJsonLines } from '../../src/telemetry/json-lines.ts';
import type { RecipeResult } from '../../workflows/results.ts';
import { hands } from '../activities/fixture.ts';
import { long } from '../support/long.ts';
import { acidRecipe, type Site, startSite, type Victim, Watched } from './harness.ts';
import { verifyCommits } from './verify.ts';

const patience = 600_000;
const written = acidRecipe();
/** Each phase is one shard. What evaluation makes of runs, killed ones too, graph and sentences show. */
const recipe = {
  ...written,
  data: { ...written.data, evaluation: undefined },
  checkpoint: { every: { steps: 10 }, shard: { steps: 40 } },
};
let site: Site;
let calm: RecipeResult;

beforeAll(async () => {
  site = await startSite({ noisy: true });
}, patience);
afterAll(() => site?.stop(), patience);

const acidOf = ({ phases }: RecipeResult) => phases.find(({ phase }) => phase === 'acid')!;
const scores = async (run: string) => {
  const keys: string[] = [];
  for await (const { key } of site.store.list(runPrefix(run))) if (parseScoreKey(key)) keys.push(key);
  return keys;
};

describe('a run with a phase of active curation, on noisy pictures', () => {
  it(
    'trains a teacher, lets it score every shard once, and the student on half of each super-batch',
    async () => {
      calm = await (await site.start('calm', recipe)).result();
      expect(calm.phases.map(({ phase, checkpoint }) => [phase, checkpoint.step, checkpoint.examples])).toEqual([
        ['pretrain', 40, 40 * 32],
        ['teacher', 40, 40 * 32],
        ['curated', 60, 60 * 32],
        ['acid', 80, 80 * 32],
        ['overlapped', 120, 120 * 32],
      ]);
      const { objectives = {} } = acidOf(calm).metrics;
      expect(objectives['curation/chosen']).not.toBe(objectives['curation/rejected']);
      // Of each of the two phases that are scored.
      expect(await scores('calm')).toHaveLength(4);
      await verifyCommits(site.store, 'calm');
      expect(await findUnreferenced(site.store, 'calm')).toEqual([]);
      const folder = mkdtempSync(join(tmpdir(), 'figures-'));
      await fetchMetrics(site.store, 'calm', folder);
      const sheet = readFileSync(join(folder, 'acid', 'r000-step-00000080-curation.html'), 'utf8');
      const curve = readJsonLines(readFileSync(join(folder, 'acid.jsonl')));
      rmSync(folder, { recursive: true });
      const noise = curve.map(({ values }) =>
        Object.entries(values).filter(([key]) => /^source\/noise-\w+\/candidates$/.test(key)),
      );
      expect(new Set(noise.flat().map(([key]) => key)).size).toBe(3);
      // 0.4 of the data, and each candidate counts once: that is what all steps together come to.
      const share = noise.flat().reduce((sum, [, share]) => sum + share, 0) / curve.length;
      expect(share).toBeCloseTo(0.4, 1);
      expect(sheet.match(/<figure/g)!.length).toBeGreaterThan(20);
    },
    patience,
  );

  it('is planned alone from the checkpoints that are there, of its origin and of its teacher', async () => {
    const on = hands();
    try {
      const alone = await planPhase(on.deps(site.store), { run: 'calm', recipe, phase: 'acid' }, on.attempt());
      const at = (name: string) => calm.phases.find(({ phase }) => phase === name)!.checkpoint;
      expect(alone.origin).toMatchObject({ checkpoint: { prefix: at('pretrain').prefix } });
      expect(alone.curation!.teacher).toMatchObject({ checkpoint: { prefix: at('curated').prefix, step: 60 } });
      expect(alone.curation).toMatchObject({ stored: true, shards: 2, languages: ['en'], sealed: null });
    } finally {
      await on.close();
    }
  });

  it(
    'ends in the same bytes when worker and trainer are killed while it scores and while it trains',
    async () => {
      const watched = new Watched(site, await site.start('killed', recipe));
      // What is on its way back can't be killed yet.
      const kill = (victim: Victim) =>
        watched.until(() => {
          try {
            return site.kill(victim);
          } catch {
            return false;
          }
        });
      const trained = (step: number, phase = 'acid') =>
        watched.until(async () => {
          const found = await findCommits(site.store, { run: 'killed', phase }).catch(() => []);
          return found.some((at) => at.step >= step);
        });
      await watched.until(async () => (await scores('killed')).length > 0);
      await kill('worker');
      await trained(50);
      await kill('trainer');
      if (long) {
        await trained(60);
        await kill('worker');
        await trained(90, 'overlapped');
        await kill('trainer');
      }
      const result = await watched.result;
      expect(result.phases.map(({ checkpoint }) => checkpoint.sha256)).toEqual(
        calm.phases.map(({ checkpoint }) => checkpoint.sha256),
      );
      expect(await findUnreferenced(site.store, 'killed')).toEqual([]);
    },
    patience,
  );

  it(
    'chooses the same when the teacher scores at every step, and then stores nothing',
    async () => {
      const acid = recipe.phases.find(({ name }) => name === 'acid')!;
      const curation = { ...acid.curation, teacher: { run: 'calm', phase: 'curated' }, scoring: 'online' };
      const phases = [{ ...acid, from: { run: 'calm', phase: 'pretrain' }, curation }];
      const online = await (await site.start('online', { ...recipe, phases })).result();
      expect(acidOf(online).checkpoint.sha256).toBe(acidOf(calm).checkpoint.sha256);
      expect(await scores('online')).toEqual([]);
    },
    patience,
  );
});
