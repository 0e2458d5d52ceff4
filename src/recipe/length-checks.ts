import { type EpochFacts, parentOf, recipeLengths } from './durations.ts';
import type { Problem } from './problem.ts';
import type { Phase, Recipe } from './schema.ts';

/** How long schedules are, and where windows of phases lie in them. */
export function lengthProblems(recipe: Recipe, epochs: EpochFacts): Problem[] {
  const first = recipe.phases[0]!;
  const { total, warmup, schedules, windows } = recipeLengths(recipe, epochs);
  const problems = scheduleProblems(recipe.schedule, { total, warmup }, first.batch, 'schedule');
  for (const [i, { schedule, batch }] of recipe.phases.entries())
    if (schedule) problems.push(...scheduleProblems(schedule, schedules[i]!, batch, `phases.${i}.schedule`));
  if (problems.some(({ fields }) => fields.some((field) => field.endsWith('schedule.total')))) return problems;
  for (const [i, { from, to }] of windows.entries()) {
    const phase = recipe.phases[i]!;
    const { total } = schedules[i]!;
    const parent = phase.schedule ? undefined : parentOf(recipe, phase);
    const above = parent && windows[recipe.phases.indexOf(parent)];
    const field = `phases.${i}.window`;
    const shown = JSON.stringify(phase.window);
    const lengths = lengthFields(recipe, phase);
    const add = (end: string, allowed: string) =>
      problems.push({ fields: [`${field}.${end}`, ...lengths], message: `${field} is ${shown}; ${allowed}` });
    if (phase.schedule && from !== null && from !== 0)
      add('from', 'a phase with a schedule of its own starts at 0 of it');
    else if (phase.from === undefined && from !== null && from !== 0) add('from', 'a phase from scratch starts at 0');
    else if (
      above &&
      from !== null &&
      above.from !== null &&
      above.to !== null &&
      !(from > above.from && from <= above.to)
    )
      add('from', `a start within the window of ${parent.name} is allowed, after its beginning`);
    else if (from !== null && to !== null && (to - from) * phase.stretch < phase.batch)
      add('to', `at least one step of ${phase.batch} examples between from and to is allowed`);
    else if (to !== null && total !== null && to > total)
      add('to', `an end within ${scheduleOf(recipe, phase)} is allowed`);
  }
  return problems;
}

/** What else says where the window of a phase lies: while it is wrong, nothing can be said of the window. */
function lengthFields(recipe: Recipe, phase: Phase): string[] {
  const at = `phases.${recipe.phases.indexOf(phase)}`;
  const own = ['phases.0.batch', 'schedule.total', `${at}.batch`, `${at}.schedule`, `${at}.stretch`];
  const parent = parentOf(recipe, phase);
  if (!parent) return own;
  return [...own, `${at}.from`, `phases.${recipe.phases.indexOf(parent)}.window`, ...lengthFields(recipe, parent)];
}

/** The total of the schedule that a phase follows, as the recipe says it. */
function scheduleOf(recipe: Recipe, phase: Recipe['phases'][number]): string {
  const parent = parentOf(recipe, phase);
  if (phase.schedule)
    return `phases.${recipe.phases.indexOf(phase)}.schedule.total ${JSON.stringify(phase.schedule.total)}`;
  return parent ? scheduleOf(recipe, parent) : `schedule.total ${JSON.stringify(recipe.schedule.total)}`;
}

function scheduleProblems(
  schedule: Recipe['schedule'],
  { total, warmup }: { readonly total: number | null; readonly warmup: number | null },
  batch: number,
  at: string,
): Problem[] {
  const said = JSON.stringify(schedule.total);
  if ('percent' in schedule.total) {
    const message = `${at}.total is in percent; percents are of it, so steps, examples or epochs are allowed`;
    return [{ fields: [`${at}.total`], message }];
  }
  if (total !== null && total < batch) {
    const message = `${at}.total is ${said}; at least one step of ${batch} examples is allowed`;
    return [{ fields: [`${at}.total`], message }];
  }
  if (total === null || warmup === null || warmup < total) return [];
  const message = `${at}.warmup is ${JSON.stringify(schedule.warmup)}; less than ${at}.total ${said} is allowed`;
  return [{ fields: [`${at}.warmup`, `${at}.total`], message }];
}
