import { datasetOf, evalResultsText } from '../checkpoint/hugging-face/eval-results.ts';
import { type EvaluationDocument, type FigureDocument, flatFigures } from '../evaluate/result.ts';
import { bigVisionLine } from '../formats/big-vision.ts';
import { clipBenchmarkJson } from '../formats/clip-benchmark.ts';
import { datacompLine } from '../formats/datacomp.ts';
import { dinov3Csv, knnColumns } from '../formats/dinov3.ts';
import { tasksOfEvaluators } from '../formats/evaluators.ts';
import { modelIndexYaml } from '../formats/model-card.ts';
import type { NamedFigure, TaskResult } from '../formats/result.ts';
import { RunnerError } from '../runtime/errors.ts';

/** Forms that a result can be printed in. */
export const foreignForms = [
  'clip-benchmark',
  'datacomp',
  'big-vision',
  'dinov3-knn',
  'model-index',
  'eval-results',
] as const;
export type ForeignForm = (typeof foreignForms)[number];

/**
 * A result of `siglip2 evaluate` as other tools write theirs (src/formats): CLIP_benchmark and datacomp as a line of JSON for
 * each evaluator, size and language, the others as one text. Errors: RecipeInvalid where the result has nothing of the form.
 */
export function foreignText(form: ForeignForm, document: EvaluationDocument): string {
  if (form === 'clip-benchmark')
    return resultsOf(document, true)
      .map((one) => `${clipBenchmarkJson(one)}\n`)
      .join('');
  if (form === 'datacomp') return resultsOf(document, true).map(datacomp).join('');
  if (form === 'model-index') return modelIndexYaml(document.model.name, resultsOf(document, false));
  if (form === 'big-vision') {
    const step = Number(/@(\d+)$/.exec(document.model.name)?.[1] ?? 0);
    const figures = document.figures.flatMap((one) =>
      named(one).map(({ name, value }) => ({ name: `${one.evaluator}/${one.view}/${name}`, value })),
    );
    return bigVisionLine(step, `${document.task.name}/`, figures);
  }
  if (form === 'eval-results') return evalResults(document);
  const knn = document.figures.filter(({ evaluator }) => evaluator === 'knn');
  if (knn.length === 0)
    throw new RunnerError(
      'RecipeInvalid',
      `the task ${document.task.name} has no k-NN, which results-knn.csv is of: put "knn": {} into its evaluators`,
    );
  return knn.map((one) => dinov3Csv(knnColumns(named(one)))).join('');
}

function evalResults({ task, model, figures }: EvaluationDocument): string {
  const { name: of, dataset } = task;
  const text = evalResultsText(
    { task: of, ...(dataset && { dataset }), figures },
    { model: model.name, sha256: model.sha256 },
  );
  if (text !== null) return text;
  throw new RunnerError(
    'RecipeInvalid',
    `the task ${of} ${dataset ? 'names a data set of the hub, and of none of its figures a task of that' : 'names no data set of the hub'}, so there is no .eval_results: put "dataset": {"hub": "OWNER/NAME", "tasks": {"zeroShot.top1": "ID"}} into it, the ID from eval.yaml of the data set`,
  );
}

function resultsOf(document: EvaluationDocument, eachLanguage: boolean): TaskResult[] {
  const { task, model, figures } = document;
  const views = new Set(figures.map(({ view }) => view));
  const known = figures.filter(({ evaluator }) => tasksOfEvaluators[evaluator] !== undefined);
  if (known.length === 0)
    throw new RunnerError(
      'RecipeInvalid',
      `the task ${task.name} has nothing that this form has a place for: put one of ${Object.keys(tasksOfEvaluators).join(', ')} into its evaluators, or leave --as out`,
    );
  return known.flatMap((one) => {
    const all = named(one);
    // Classes that the task names, and probes, have no language of their own.
    const spoken = all.some(({ name }) => name.startsWith('by_language.'));
    const languages = eachLanguage && spoken ? task.languages : [task.languages[0]!];
    return languages.map((language) => ({
      model: views.size > 1 ? `${model.name} ${one.view}` : model.name,
      pretrained: model.sha256.slice(0, 12),
      dataset: datasetOf(task.name, task.dataset),
      task: tasksOfEvaluators[one.evaluator]!,
      language,
      figures: eachLanguage ? all.filter(({ name }) => !name.startsWith('mean.')) : all,
    }));
  });
}

function datacomp(result: TaskResult): string {
  const mainMetric = result.task === 'zeroshot_retrieval' ? 'mean_recall@1' : 'acc1';
  return datacompLine({ key: result.dataset.name, name: result.dataset.name, mainMetric }, result);
}

/** Of fewer classes than k the others tell no top-k: CLIP_benchmark writes NaN. */
function named({ figures }: FigureDocument): NamedFigure[] {
  const all = flatFigures(figures);
  const known = new Map(all);
  return all.map(([name, value]) => {
    const [, path, k] = /^(.*?)top(\d+)$/.exec(name) ?? [];
    const classes = known.get(`${path}classes`);
    return { name, value: k !== undefined && classes !== undefined && classes < Number(k) ? null : value };
  });
}
