import type { Task } from './result.ts';

/** What others call the tasks of our evaluators; they have none for the rest. */
export const tasksOfEvaluators: Readonly<Partial<Record<string, Task>>> = {
  zeroShot: 'zeroshot_classification',
  retrieval: 'zeroshot_retrieval',
  knn: 'knn',
  fewShot: 'linear_probe',
  logistic: 'linear_probe',
  detection: 'detection',
};
