import { flatFigures, resultIn } from '../evaluate/result.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import type { MetricRecord } from '../telemetry/metric-record.ts';

const pattern = /^evaluations\/[^/]+\/(.+)-(\d+)\/[^/]+\/result\.json$/;
/** Of an evaluator at a view: names that TensorBoard draws a plot of each for. */
const mostFigures = 200;

/**
 * The figures of evaluations by tasks of the checkpoints of a run, by phase and by step, as `task/evaluator/view/figure`. Of two of
 * one step the later counts.
 */
export async function fetchEvaluations(store: ObjectStore, run: string): Promise<ReadonlyMap<string, MetricRecord[]>> {
  const phases = new Map<string, Map<number, MetricRecord>>();
  const results: { readonly key: string; readonly phase: string; readonly step: number; readonly time: number }[] = [];
  for await (const { key, modified } of store.list(`evaluations/${run}/`)) {
    const [, phase, step] = pattern.exec(key) ?? [];
    if (phase !== undefined) results.push({ key, phase, step: Number(step), time: modified.getTime() });
  }
  for (const { key, phase, step, time } of results.sort((a, b) => a.time - b.time)) {
    const result = resultOf(await store.get(key));
    if (!result) continue;
    const own = result.figures.flatMap(({ evaluator, view, figures }) =>
      flatFigures(figures)
        .slice(0, mostFigures)
        .map(([name, value]): [string, number] => [`${result.task.name}/${evaluator}/${view}/${name}`, value]),
    );
    const steps = phases.get(phase) ?? new Map<number, MetricRecord>();
    phases.set(phase, steps);
    steps.set(step, { step, time, values: { ...steps.get(step)?.values, ...Object.fromEntries(own) } });
  }
  return new Map([...phases].map(([phase, steps]) => [phase, [...steps.values()].sort((a, b) => a.step - b.step)]));
}

/** Whoever may write to the bucket may write these: what is none is no figure. */
function resultOf(bytes: Buffer) {
  try {
    return resultIn(JSON.parse(bytes.toString('utf8')));
  } catch {
    return null;
  }
}
