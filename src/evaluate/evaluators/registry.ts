import { captionTasks } from '../../recipe/caption-tasks.ts';
import type { Task } from '../tasks/task.ts';
import { bias } from './bias.ts';
import { calibration } from './calibration.ts';
import { captioning } from './captioning.ts';
import type { Evaluator, Needs } from './contract.ts';
import { depth } from './depth.ts';
import { fewShot } from './few-shot.ts';
import { grounded } from './grounded.ts';
import { groups } from './groups.ts';
import { knn } from './knn.ts';
import { knnSegmentation } from './knn-segmentation.ts';
import { languageModel } from './language-model.ts';
import { logistic } from './logistic.ts';
import { normals } from './normals.ts';
import { openSegmentation } from './open-segmentation.ts';
import { referring } from './referring.ts';
import { referringProbe } from './referring-probe.ts';
import { retrieval } from './retrieval.ts';
import { segmentation } from './segmentation.ts';
import type { EvaluatorName } from './settings.ts';
import { zeroShot } from './zero-shot.ts';

/** Every evaluator by the name that tasks call it by; a new one is one line here and its settings in settings.ts. */
const evaluators = {
  ...{ zeroShot, retrieval, knn, fewShot, logistic, groups, bias, calibration },
  ...{ captioning, referring, grounded, referringProbe, languageModel },
  ...{ segmentation, knnSegmentation, depth, normals, openSegmentation },
} as const satisfies Record<EvaluatorName, unknown>;

/** Settings of an evaluator are checked with the task, so that they are what it takes. */
export const evaluatorOf = (name: EvaluatorName): Evaluator<unknown> => evaluators[name] as Evaluator<unknown>;

export const namesOf = ({ evaluators: asked }: Pick<Task, 'evaluators'>): EvaluatorName[] =>
  (Object.keys(evaluators) as EvaluatorName[]).filter((name) => asked[name] !== undefined);

/** What some of them need together. */
export function needsOf(task: Pick<Task, 'evaluators'>, names: readonly EvaluatorName[], named: boolean): Needs {
  const all = names.map((name) => evaluatorOf(name).needs(named, task.evaluators[name]));
  const said = captionTasks.filter((one) => all.some((needs) => needs.said?.includes(one)));
  const needed = all.flatMap((needs) => Object.entries(needs).filter(([, needed]) => needed === true));
  return { ...(Object.fromEntries(needed) satisfies Needs), ...(said.length > 0 && { said }) };
}
