import { type PublishedFigure, publishedOf, publishedTables } from '../benchmarks/published.ts';
import type { Task } from '../evaluate/tasks/task.ts';
import { own } from '../recipe/own.ts';
import { RunnerError } from '../runtime/errors.ts';

/** RecipeInvalid where a task names a column that no table has. */
export function requirePublished({ published = {} }: Pick<Task, 'published'>): void {
  for (const [path, column] of Object.entries(published)) {
    if (publishedOf(column).length > 0) continue;
    const known = [...new Set(publishedTables().flatMap(({ columns }) => columns))];
    const [data] = column.split(' ');
    const near = known.filter((one) => one.split(' ')[0] === data);
    throw new RunnerError(
      'RecipeInvalid',
      `the task's published.${path} is ${JSON.stringify(column)}, which no table of src/benchmarks/published.json has; it has ${(near.length > 0 ? near : known).slice(0, 20).join(', ')}`,
    );
  }
}

/** Patches of 16 pixels a side, and of 14 of So400m/14. */
const patchSides = [16, 14];

/** Table 5 counts patches of models that see squares; rows of NaFlex models are of those alone. */
function isAt({ model, view: own }: PublishedFigure, view: string): boolean {
  if (own === null || own === view) return true;
  const [, side] = /^px-(\d+)$/.exec(view) ?? [];
  return (
    side !== undefined &&
    !model.includes('NaFlex') &&
    patchSides.some((patch) => own === `patches-${Math.floor(Number(side) / patch) ** 2}`)
  );
}

/**
 * What is published of a figure at the size that it was measured at: a line for each table. Where a table has none of this size,
 * the sizes that it has.
 */
export function publishedLines({ published }: Pick<Task, 'published'>, figure: string, view: string): string[] {
  const column = own(published, figure);
  if (column === undefined) return [];
  const byTable = new Map<string, PublishedFigure[]>();
  for (const one of publishedOf(column)) byTable.set(one.table, [...(byTable.get(one.table) ?? []), one]);
  return [...byTable].map(([table, all]) => {
    const same = all.filter((one) => isAt(one, view));
    if (same.length === 0) return `published at ${[...new Set(all.map((one) => one.view))].join(', ')} (${table})`;
    return `published: ${same.map(({ model, value }) => `${model} ${value}`).join(', ')} (${table})`;
  });
}
