import { clipFigures } from './foreign-names.ts';
import { pythonJson } from './python-text.ts';
import type { TaskResult } from './result.ts';

/** How datacomp's tasklist.yml has a task: its key, what it is called, and by which figure it counts. */
export interface DatacompTask {
  readonly key: string;
  readonly name: string;
  readonly mainMetric?: string;
}

/**
 * A line of datacomp's `eval_results.jsonl` (evaluate.py). Recall at 1 of both ways has its mean beside, which retrieval counts
 * by. `main_metric` is null where the figure is not there, as datacomp has it.
 */
export function datacompLine({ key, name, mainMetric = 'acc1' }: DatacompTask, result: TaskResult): string {
  const metrics = clipFigures(result);
  const [text, image] = [metrics['text_retrieval_recall@1'], metrics['image_retrieval_recall@1']];
  if (typeof text === 'number' && typeof image === 'number') metrics['mean_recall@1'] = 0.5 * (text + image);
  const main = Object.hasOwn(metrics, mainMetric) ? metrics[mainMetric] : undefined;
  const line = pythonJson({
    key,
    dataset: name,
    metrics: { ...metrics, main_metric: main === undefined ? mark : main },
  });
  return `${line.replace(JSON.stringify(mark), 'null')}\n`;
}

/** Stands for Python's None, which is not NaN. */
const mark = '\u0001none';
