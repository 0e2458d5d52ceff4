import { afterAll, beforeAll, expect, it } from 'vitest';
import { findUnreferenced, sweepRun } from '../../src/checkpoint/sweep.ts';
import { type Site, startSite, tinyRecipe } from './harness.ts';
import { insist, Killer } from './killer.ts';
import type { Kill } from './schedule.ts';
import { verifyCommits } from './verify.ts';

const patience = 600_000;
let site: Site;

beforeAll(async () => {
  site = await startSite({ weather: true });
}, patience);
afterAll(() => site?.stop(), patience);

/** The short form of `npm run faults -- --weather`. A cut of Temporal beyond the heartbeat's timeout makes a zombie. */
const schedule: Kill[] = [
  { victim: 's3 errors', after: 1, lasts: 2 },
  { victim: 's3 resets', after: 1, lasts: 3 },
  { victim: 'disk full', after: 0.5, lasts: 2 },
  { victim: 'temporal cut', after: 0.5, lasts: 18 },
  { victim: 's3 slow', after: 0.5, lasts: 3 },
  { victim: 's3 cut', after: 0.5, lasts: 4 },
];

it(
  'a run under cut networks, a store in trouble and a full disk ends in the undisturbed state, and leaves nothing over',
  async () => {
    // Short shards: one that ends in a trouble waits for its end, and so few steps are enough to be hit by all.
    const recipe = tinyRecipe({
      data: { train: 'data/emoji/train' },
      schedule: { total: { steps: 600 }, warmup: { steps: 20 } },
      checkpoint: { every: { steps: 40 }, shard: { steps: 100 } },
    });
    const calm = await (await site.start('calm', recipe)).result();
    const run = await site.start('stormy', recipe);
    let running = true;
    const end = insist(() => run.result()).finally(() => {
      running = false;
    });
    end.catch(() => {});
    const said: string[] = [];
    await new Killer(site, schedule, (line) => said.push(line)).haunt('stormy', () => running);
    expect((await end).phases[0]!.checkpoint.sha256).toBe(calm.phases[0]!.checkpoint.sha256);
    expect(said.length).toBeGreaterThanOrEqual(4);
    expect((await verifyCommits(site.store, 'stormy')).length).toBeGreaterThan(0);
    await sweepRun(site.store, 'stormy', { graceMs: 0 });
    expect(await findUnreferenced(site.store, 'stormy')).toEqual([]);
  },
  patience,
);
