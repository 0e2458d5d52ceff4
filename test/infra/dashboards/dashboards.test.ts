import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';
import { parse } from 'yaml';
import { dashboard } from '../../../infra/dashboards/dashboard.ts';
import { rows } from '../../../infra/dashboards/panels.ts';
import { answerOf } from '../../support/answer-of.ts';
import { prometheusProgram } from '../../support/programs.ts';

const folder = fileURLToPath(new URL('../../../infra/dashboards', import.meta.url));
const read = (name: string) => readFileSync(`${folder}/${name}`, 'utf8');
const promtool = await prometheusProgram('promtool');
const ask = (...args: string[]) => answerOf(spawn(promtool!, args, { cwd: folder }));

interface Shown {
  readonly id: number;
  readonly type: string;
  readonly title: string;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly targets?: readonly { readonly expr: string; readonly refId: string; readonly instant?: boolean }[];
  readonly options?: { readonly legend?: { readonly showLegend: boolean } };
  readonly fieldConfig?: { readonly defaults: { readonly thresholds: { readonly steps: readonly object[] } } };
}

it('the dashboard that Grafana imports is the one that is written down in panels.ts', () => {
  expect(JSON.parse(read('siglip2.json'))).toEqual(JSON.parse(JSON.stringify(dashboard())));
});

it('has panels that lie beside one another, each with a name, a meaning and something to ask', () => {
  const { panels } = JSON.parse(read('siglip2.json')) as { panels: readonly Shown[] };
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const taken = new Set<string>();
  for (const { title, gridPos, targets, type } of panels) {
    expect(title).not.toBe('');
    expect(targets?.length ?? 0, title).toBe(type === 'row' ? 0 : 1);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
        expect([x < 24, taken.has(`${x} ${y}`)], title).toEqual([true, false]);
        taken.add(`${x} ${y}`);
      }
  }
  const texts = rows.flatMap((row) => row.panels);
  expect(texts.filter(({ about }) => about.length < 10)).toEqual([]);
  expect(panels.length).toBe(rows.length + texts.length);
});

it('names every curve, and asks for figures and bars as they are now', () => {
  const { panels } = JSON.parse(read('siglip2.json')) as { panels: readonly Shown[] };
  const of = (type: string) => panels.filter((panel) => panel.type === type);
  expect(of('timeseries').length).toBeGreaterThan(15);
  // Grafana's builders say no otherwise, and a dashboard of curves without names is what was shipped.
  for (const { title, options } of of('timeseries'))
    expect([title, options?.legend?.showLegend]).toEqual([title, true]);
  const now = [...of('stat'), ...of('bargauge')];
  expect(now.length).toBe(7);
  for (const { title, targets } of now) expect([title, targets![0]!.instant]).toEqual([title, true]);
});

it('keeps titles of figures short enough for a window of 1,000 pixels, and has no verdict where nothing is known', () => {
  const { panels } = JSON.parse(read('siglip2.json')) as { panels: readonly Shown[] };
  const figures = panels.filter(({ type }) => type === 'stat');
  // "Shards queued" was seen whole in 154 pixels beside its mark, and "Temporal answers" was not.
  expect(figures.filter(({ title }) => title.length > 13)).toEqual([]);
  for (const { title, fieldConfig } of figures)
    expect([title, fieldConfig!.defaults.thresholds.steps[0]]).toEqual([title, { value: null, color: 'text' }]);
});

it.skipIf(!promtool)('alerts are taken by promtool, each with a sentence to read and one to go on with', async () => {
  const { code, out } = await ask('check', 'rules', 'alerts.yaml');
  expect([code, out]).toEqual([0, expect.stringMatching(/SUCCESS: \d+ rules found/)]);
  const { groups } = parse(read('alerts.yaml')) as { groups: { rules: Rule[] }[] };
  for (const { alert, labels, annotations } of groups.flatMap(({ rules }) => rules)) {
    expect(alert).toMatch(/^Siglip2[A-Z]/);
    expect(['warning', 'critical']).toContain(labels.severity);
    expect(annotations.description.length, alert).toBeGreaterThan(annotations.summary.length);
  }
});

interface Rule {
  readonly alert: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

it.skipIf(!promtool)('each alert is raised by what it is for, and by nothing before that', async () => {
  const { code, out } = await ask('test', 'rules', 'alerts.test.yaml');
  expect([code, out]).toEqual([0, expect.stringContaining('SUCCESS')]);
  const { tests } = parse(read('alerts.test.yaml')) as { tests: { alert_rule_test: Raised[] }[] };
  const all = tests.flatMap((one) => one.alert_rule_test);
  const { groups } = parse(read('alerts.yaml')) as { groups: { rules: Rule[] }[] };
  for (const { alert } of groups.flatMap(({ rules }) => rules)) {
    const counts = all.flatMap((one) => (one.alertname === alert ? [one.exp_alerts.length] : []));
    expect([alert, counts.includes(0), counts.some((count) => count > 0)]).toEqual([alert, true, true]);
  }
});

interface Raised {
  readonly alertname: string;
  readonly exp_alerts: readonly object[];
}

it.skipIf(!promtool)('the scrape configuration for a cluster is one', async () => {
  const { code, out, said } = await ask('check', 'config', '--syntax-only', 'prometheus-kubernetes.yaml');
  expect([code, out + said]).toEqual([0, expect.stringContaining('SUCCESS')]);
});
