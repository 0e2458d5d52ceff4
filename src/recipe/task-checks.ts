import type { Problem } from './problem.ts';
import type { Recipe } from './schema.ts';

/** Tasks by themselves are checked where evaluators are known; here only how they stand in a recipe. */
export function taskProblems({ evaluate, phases }: Recipe): Problem[] {
  const { tasks, only, every, best, earlyStopping } = evaluate;
  const problems: Problem[] = [...onlyProblems(only ?? {}, tasks ?? [], phases), ...guardProblems(evaluate, phases)];
  if (every && !tasks)
    problems.push({
      fields: ['evaluate.every', 'evaluate.tasks'],
      message:
        'evaluate.every is given without evaluate.tasks; allowed: with tasks, which are done during training then',
    });
  if (best && !tasks?.some(({ name }) => name === best.task))
    problems.push({
      fields: ['evaluate.best.task', 'evaluate.tasks'],
      message: `evaluate.best.task is "${best.task.slice(0, 60)}"; allowed: ${tasks?.map(({ name }) => name).join(', ') || 'the name of a task in evaluate.tasks, which is missing'}`,
    });
  const lacking = [...(every ? [] : ['evaluate.every']), ...(best ? [] : ['evaluate.best'])];
  if (earlyStopping && lacking.length > 0)
    problems.push({
      fields: ['evaluate.earlyStopping', ...lacking],
      message: `evaluate.earlyStopping is given without ${lacking.join(' and ')}; allowed: with evaluate.every, which says when is looked, {"steps": 2000}, and evaluate.best, which names the figure, {"task": "pets", "evaluator": "retrieval", "figure": "mean.text_to_image.r1"}`,
    });
  for (const [i, { name }] of (tasks ?? []).entries())
    if (tasks!.findIndex((other) => other.name === name) < i)
      problems.push({
        fields: [`evaluate.tasks.${i}.name`],
        message: `evaluate.tasks.${i}.name is "${name.slice(0, 60)}" again; each name once is allowed`,
      });
  return problems;
}

function guardProblems({ guard, every, tasks }: Recipe['evaluate'], phases: Recipe['phases']): Problem[] {
  if (!guard) return [];
  const problem = (field: string, message: string): Problem => ({
    fields: [`evaluate.guard${field}`],
    message: `evaluate.guard${field} ${message}`,
  });
  const names = tasks?.map(({ name }) => name) ?? [];
  return [
    ...(names.includes(guard.task)
      ? []
      : [
          problem(
            '.task',
            `is "${guard.task.slice(0, 60)}"; allowed: ${names.join(', ') || 'the name of a task in evaluate.tasks, which is missing'}`,
          ),
        ]),
    ...(every
      ? []
      : [problem('', 'is given without evaluate.every, which says when is looked; {"steps": 2000} is allowed')]),
    ...(phases.some(({ from }) => from !== undefined)
      ? []
      : [
          problem(
            '',
            'is given where every phase starts from scratch and nothing is known before; a phase with "from" is allowed',
          ),
        ]),
  ];
}

type Named = readonly { readonly name: string }[];

function onlyProblems(only: Readonly<Record<string, readonly string[]>>, tasks: Named, phases: Named): Problem[] {
  const names = (of: Named) => of.map(({ name }) => name);
  return Object.entries(only).flatMap(([task, own]): Problem[] => {
    const at = `evaluate.only.${task.slice(0, 60)}`;
    if (!names(tasks).includes(task)) {
      const allowed = names(tasks).join(', ') || 'the name of a task in evaluate.tasks, which is missing';
      return [{ fields: [at, 'evaluate.tasks'], message: `${at} is of no task; allowed: ${allowed}` }];
    }
    const foreign = own.find((phase) => !names(phases).includes(phase));
    if (foreign === undefined) return [];
    return [{ fields: [at], message: `${at} has "${foreign}"; allowed: ${names(phases).join(', ')}` }];
  });
}
