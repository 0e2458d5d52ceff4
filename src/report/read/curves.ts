import type { MetricRecord } from '../../telemetry/metric-record.ts';
import { thinned } from '../thin.ts';
import type { Curve, Point } from '../types.ts';

/** Points that a curve is kept in: a chart has fewer pixels. */
const bins = 400;
/** Names of objectives come from the bucket. */
const mostCurves = 40;

/** Losses and learning rate by step. A mean over the steps of a record says more than its last step, where there is one. */
export function curvesOf(records: readonly MetricRecord[]): Curve[] {
  const points = new Map<string, Point[]>();
  for (const { step, values } of records)
    for (const name of Object.keys(values)) {
      if (!isCurve(name)) continue;
      const own = points.get(name) ?? [];
      if (own.length === 0 && points.size >= mostCurves) continue;
      points.set(name, own);
      own.push([step, values[`${name}/mean`] ?? values[name]!]);
    }
  return [...points].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, own]) => ({ name, points: thinned(own, bins) }));
}

/** Means and the largest loss are no objectives. */
const isCurve = (name: string) =>
  name === 'loss' ||
  name === 'learningRate' ||
  (/^loss\/[^/]+$/.test(name) && name !== 'loss/mean' && name !== 'loss/max');
