import { afterAll, beforeAll, expect, it } from 'vitest';
import { graphRecipe, type Site, startSite } from './harness.ts';
import { verifyCommits } from './verify.ts';

const patience = 600_000;
let site: Site;

beforeAll(async () => {
  site = await startSite();
}, patience);
afterAll(() => site?.stop(), patience);

it(
  'the phase graph of the paper runs on real pictures, every phase to its end, and each is evaluated and exported',
  async () => {
    const { phases } = await (await site.start('graph', graphRecipe())).result();
    expect(phases.map(({ phase, checkpoint }) => [phase, checkpoint.step, checkpoint.examples])).toEqual([
      ['pretrain', 80, 80 * 32],
      ['distill', 100, 100 * 32],
      ['res-48', 100, 100 * 32],
      ['trunk', 90, 90 * 32],
      ['naflex', expect.any(Number), 90 * 32 + 37 * 32],
    ]);
    // Some of its 37 batches take two steps.
    expect(phases[4]!.checkpoint.step).toBeGreaterThan(90 + 37);
    expect(Object.keys(phases[1]!.metrics.objectives ?? {})).toEqual([
      'loss/sigmoid',
      'loss/captioning',
      'loss/localToGlobal',
      'loss/maskedPrediction',
    ]);
    for (const { phase, evaluation, export: exported, metrics } of phases) {
      expect(Number.isFinite(metrics.loss), phase).toBe(true);
      expect(evaluation!.report, phase).toMatchObject({ zero_shot: { classes: 64 } });
      const config = JSON.parse((await site.store.get(`${exported.prefix}config.json`)).toString());
      expect(config.model_type).toBe(phase === 'naflex' ? 'siglip2' : 'siglip');
    }
    await verifyCommits(site.store, 'graph');
  },
  patience,
);
