import type { TaskResult } from './result.ts';
import { type Yaml, yamlText } from './yaml.ts';

/** The tasks of the hub that ours come under. */
const hubTasks: Readonly<Record<TaskResult['task'], { readonly type: string; readonly name: string }>> = {
  zeroshot_classification: { type: 'zero-shot-image-classification', name: 'Zero-Shot Image Classification' },
  zeroshot_retrieval: { type: 'image-text-retrieval', name: 'Image-Text Retrieval' },
  linear_probe: { type: 'image-classification', name: 'Image Classification' },
  captioning: { type: 'image-to-text', name: 'Image Captioning' },
  knn: { type: 'image-classification', name: 'Image Classification' },
  detection: { type: 'zero-shot-object-detection', name: 'Zero-Shot Object Detection' },
  dense: { type: 'image-segmentation', name: 'Dense Prediction' },
};

/** Figures that there is no value of are left out: a card says what was measured. */
const measured = ({ figures }: TaskResult) =>
  figures.flatMap(({ name, value }) => (value === null || !Number.isFinite(value) ? [] : [{ name, value }]));

/** `model-index` of a model card's front matter (huggingface/hub-docs, modelcard.md; huggingface_hub, eval_results_to_model_index). */
export function modelIndexYaml(model: string, results: readonly TaskResult[]): string {
  const entries = results.flatMap((result): Yaml[] => {
    const figures = measured(result);
    if (figures.length === 0) return [];
    const { dataset, task } = result;
    return [
      {
        task: hubTasks[task],
        dataset: {
          name: dataset.name,
          type: dataset.id ?? dataset.name,
          config: dataset.config,
          split: dataset.split,
          revision: dataset.revision,
        },
        metrics: figures.map(({ name, value }) => ({ type: name, value, name })),
      },
    ];
  });
  return yamlText({ 'model-index': [{ name: model, results: entries }] });
}

/** What `.eval_results/*.yaml` says of where a figure comes from. */
export interface EvalSource {
  /** ISO 8601, of the evaluation. */
  readonly date?: string;
  readonly url?: string;
  readonly name?: string;
  /** How it was measured, in a few words: the fingerprint. */
  readonly notes?: string;
}

/**
 * `.eval_results/*.yaml` (huggingface/hub-docs, eval_results.yaml; huggingface_hub, eval_result_entries_to_yaml). `tasks` says
 * which figure is which task of the benchmark, by our names; others are not told. A data set without an id of the hub has none.
 */
export function evalResultsYaml(
  results: readonly TaskResult[],
  tasks: Readonly<Record<string, string>>,
  { date, url, name, notes }: EvalSource = {},
): string {
  const entries = results.flatMap((result): Yaml[] =>
    measured(result).flatMap((figure): Yaml[] => {
      const { id, revision } = result.dataset;
      if (id === undefined || !Object.hasOwn(tasks, figure.name)) return [];
      return [
        {
          dataset: { id, task_id: tasks[figure.name]!, revision },
          value: figure.value,
          date,
          source: url === undefined ? undefined : { url, name },
          notes,
        },
      ];
    }),
  );
  return yamlText(entries);
}
