import { flatFigures } from '../../evaluate/result.ts';
import { evalResultsYaml } from '../../formats/model-card.ts';
import type { Dataset, TaskResult } from '../../formats/result.ts';
import type { KeptEvaluation } from '../metrics-document.ts';
import type { FolderFile } from './config.ts';

type HubDataset = NonNullable<KeptEvaluation['dataset']>;
/** An evaluation by a task, and what its data are on the hub. */
type Evaluated = Pick<KeptEvaluation, 'task' | 'dataset' | 'figures'>;

/** The data of a task as cards name them: by the hub where it says so. */
export function datasetOf(name: string, { hub: id, config, split, revision }: Partial<HubDataset> = {}): Dataset {
  const said = Object.entries({ id, config, split, revision }).filter(([, value]) => value !== undefined);
  return { name, ...Object.fromEntries(said) };
}

/** How figures were measured, of whatever made them. */
export interface Measured {
  /** Such as `run/pretrain@900`. */
  readonly model: string;
  readonly sha256: string;
}

/**
 * `.eval_results/*.yaml` of an evaluation: an entry for each figure that its task names a task of the hub for, at each size. Values are
 * those of result.json, shares of 1. There is no verifyToken: Hugging Face signs what it has run itself. Null: nothing is named.
 */
export function evalResultsText({ dataset, task, figures }: Evaluated, { model, sha256 }: Measured): string | null {
  if (!dataset?.tasks) return null;
  const named = figures.flatMap(({ evaluator, view, figures: own }) => {
    const result: TaskResult = {
      ...{ model, pretrained: sha256, language: '', task: 'dense' },
      dataset: datasetOf(task, dataset),
      figures: flatFigures(own).map(([name, value]) => ({ name: `${evaluator}.${name}`, value })),
    };
    if (!result.figures.some(({ name }) => Object.hasOwn(dataset.tasks!, name))) return [];
    const notes = `${evaluator} at ${view} of ${model}, sha256 ${sha256.slice(0, 12)}, by siglip2-runner`;
    const source = dataset.source === undefined ? {} : { url: dataset.source, name: 'result.json and its fingerprint' };
    return [evalResultsYaml([result], dataset.tasks!, { ...source, notes })];
  });
  return named.length === 0 ? null : named.join('');
}

/** The files of all evaluations of a checkpoint, by the folder that each lies in: tasks of one name may have been others. */
export function evalResultsFiles(evaluations: readonly KeptEvaluation[], measured: Measured): FolderFile[] {
  return evaluations.flatMap((one) => {
    const content = evalResultsText(one, measured);
    return content === null ? [] : [{ path: `.eval_results/${plain(one.key.split('/').at(-2)!)}.yaml`, content }];
  });
}

/** Whoever may write to the bucket gives these names. */
const plain = (name: string) => name.replace(/[^\w.-]/g, '_').slice(0, 200);

/** A line of a model card: where the figures for leaderboards are, and which tasks have none there; empty without tasks. */
export function evalResultsNote(evaluations: readonly Evaluated[]): string {
  const names = (all: readonly Evaluated[]) => [...new Set(all.map(({ task }) => plain(task)))].sort().join(', ');
  const there = evaluations.filter((one) => evalResultsText(one, { model: '', sha256: '' }) !== null);
  const absent = evaluations.filter((one) => !there.includes(one));
  return [
    ...(there.length > 0 ? [`\`.eval_results\` has figures for leaderboards, not verified, of: ${names(there)}.`] : []),
    ...(absent.length > 0
      ? [`\`.eval_results\` has nothing of ${names(absent)}: its task names no \`dataset\` of the hub with \`tasks\`.`]
      : []),
  ].join('\n');
}
