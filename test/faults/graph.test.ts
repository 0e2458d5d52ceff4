import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { findUnreferenced } from '../../src/checkpoint/sweep.ts';
import { fetchMetrics } from '../../src/commands/fetch-metrics.ts';
import { graphRecipe, type Site, startSite, until } from './harness.ts';
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
    const run = await site.start('graph', graphRecipe());
    let shown = '';
    await until(async () => {
      shown = await site.metrics();
      return shown.includes('phase="distill"');
    });
    const { phases } = await run.result();
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
      'captioning/captioning',
      'captioning/referring',
      'captioning/grounded',
      'loss/localToGlobal',
      'loss/maskedPrediction',
      'language/en/drawn',
    ]);
    for (const { phase, evaluation, export: exported, metrics } of phases) {
      expect(Number.isFinite(metrics.loss), phase).toBe(true);
      expect(evaluation!.report, phase).toMatchObject({ zero_shot: { classes: 64 } });
      const config = JSON.parse((await site.store.get(`${exported.prefix}config.json`)).toString());
      expect(config.model_type).toBe(phase === 'naflex' ? 'siglip2' : 'siglip');
    }
    await verifyCommits(site.store, 'graph');
    expect(await findUnreferenced(site.store, 'graph')).toEqual([]);
    expect(shown).toMatch(/siglip2_loss\{[^}]*phase="distill"[^}]*run="graph"[^}]*\} \d/);
    expect(shown).toMatch(/temporal_activity_execution_latency/);
    const figures = mkdtempSync(join(tmpdir(), 'figures-'));
    await fetchMetrics(site.store, 'graph', figures);
    const lines = readFileSync(join(figures, 'distill.jsonl'), 'utf8').trim().split('\n');
    rmSync(figures, { recursive: true });
    expect(JSON.parse(lines.at(-1)!)).toMatchObject({ step: 100, 'loss/sigmoid': expect.any(Number) });
  },
  patience,
);
