import type { Problem } from './problem.ts';
import type { Recipe } from './schema.ts';

/** Tasks by themselves are checked where evaluators are known; here only how they stand in a recipe. */
export function taskProblems({ evaluate: { tasks, every } }: Recipe): Problem[] {
  const problems: Problem[] = [];
  if (every && !tasks)
    problems.push({
      fields: ['evaluate.every', 'evaluate.tasks'],
      message:
        'evaluate.every is given without evaluate.tasks; allowed: with tasks, which are done during training then',
    });
  for (const [i, { name }] of (tasks ?? []).entries())
    if (tasks!.findIndex((other) => other.name === name) < i)
      problems.push({
        fields: [`evaluate.tasks.${i}.name`],
        message: `evaluate.tasks.${i}.name is "${name.slice(0, 60)}" again; each name once is allowed`,
      });
  return problems;
}
