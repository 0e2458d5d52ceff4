import { clipFigures } from './foreign-names.ts';
import { pythonJson } from './python-text.ts';
import type { TaskResult } from './result.ts';

/**
 * The JSON file that `clip_benchmark eval` writes for a data set and task, and `clip_benchmark build` reads (cli.py, `dump`).
 * Its tasks are zeroshot_classification, zeroshot_retrieval, linear_probe and captioning; others go under their own name.
 */
export function clipBenchmarkJson(result: TaskResult): string {
  const { dataset, model, pretrained, task, language } = result;
  return pythonJson({ dataset: dataset.name, model, pretrained, task, metrics: clipFigures(result), language });
}
