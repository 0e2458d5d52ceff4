import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { parse } from 'yaml';
import { rows } from '../../infra/dashboards/panels.ts';
import { findUnreferenced } from '../../src/checkpoint/sweep.ts';
import { fetchMetrics } from '../../src/commands/fetch-metrics.ts';
import { long } from '../support/long.ts';
import { type Prometheus, startPrometheus } from '../support/prometheus.ts';
import { graphRecipe, type Site, startSite, until } from './harness.ts';
import { verifyCommits } from './verify.ts';

const patience = 900_000;
let site: Site;

const rules = fileURLToPath(new URL('../../infra/dashboards/alerts.yaml', import.meta.url));
let prometheus: Prometheus | null;

beforeAll(async () => {
  site = await startSite();
  prometheus = await startPrometheus(site.metricsAddress, [rules]);
}, patience);
afterAll(async () => {
  await prometheus?.stop();
  await site?.stop();
}, patience);

it(
  'the phase graph of the paper runs on real pictures, every phase to its end, and each is evaluated and exported',
  async () => {
    // Two shards of the first phase and one of each other: branches take turns, and each turn loads the graph anew.
    const checkpoint = { every: { steps: 10 }, shard: { steps: 50 } };
    // What becomes of another resolution `activities/whole-run` shows too.
    const written = graphRecipe();
    const kept = written.phases.filter(({ name }) => long || name !== 'res-48');
    const run = await site.start('graph', { ...written, phases: kept, checkpoint });
    let shown = '';
    await until(async () => {
      shown = await site.metrics();
      // Counters are there before the first step.
      return /siglip2_loss\{[^}]*phase="distill"/.test(shown);
    }, patience);
    const { phases } = await run.result();
    expect(phases.map(({ phase, checkpoint }) => [phase, checkpoint.step, checkpoint.examples])).toEqual([
      ['pretrain', 80, 80 * 32],
      ['distill', 100, 100 * 32],
      ...(long ? [['res-48', 100, 100 * 32]] : []),
      ['trunk', 90, 90 * 32],
      ['naflex', expect.any(Number), 90 * 32 + 37 * 32],
    ]);
    // Some of its 37 batches take two steps.
    expect(phases.at(-1)!.checkpoint.step).toBeGreaterThan(90 + 37);
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

it('what dashboard and alerts ask of a real worker is answered, with figures where there was something to count', async (context) => {
  if (prometheus === null) return context.skip();
  const alerts = parse(readFileSync(rules, 'utf8')) as { groups: { rules: { expr: string }[] }[] };
  const shown = rows.flatMap(({ panels }) => panels.flatMap(({ queries }) => queries.map(({ expr }) => expr)));
  const raised = alerts.groups.flatMap((group) => group.rules.map(({ expr }) => expr));
  // What fails, and tasks, of which this recipe has none.
  const mayLack = /temporal_(activity_execution_failed|request_failure)\b|siglip2_evaluation\b/;
  // Of what is shown, whatever went by while the graph was trained; an alert is asked for now, and none is raised.
  const overAll = (expr: string) => expr.replaceAll(/=~"\$(run|phase)"/g, '=~".*"').replaceAll(/\[\d+[mh]\]/g, '[30m]');
  const empty: string[] = [];
  for (const expr of shown)
    if ((await prometheus.query(`last_over_time((${overAll(expr)})[30m:2s])`)).length === 0) empty.push(expr);
  expect(empty.filter((expr) => !mayLack.test(expr))).toEqual([]);
  for (const expr of raised) expect([expr, await prometheus.query(expr)]).toEqual([expr, []]);
  const known = new Set(await prometheus.names());
  const named = new Set([...shown, ...raised].flatMap((expr) => expr.match(/\b(siglip2|temporal)_\w+/g) ?? []));
  expect([...named].filter((name) => !known.has(name) && !mayLack.test(name))).toEqual([]);
});
