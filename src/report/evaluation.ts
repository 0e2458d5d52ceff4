import { escaped } from './escape.ts';
import { differenceText, figureText, isShare } from './numbers.ts';
import { type Cell, table } from './table.ts';
import type { ComparedFigure, Comparison, ReportedEvaluation, ReportedFigure } from './types.ts';

/** Of each; what is more is counted. */
const most = { rows: 200, phases: 12 };

/** What an evaluation is called: that which a recipe asks for has no task. */
export const nameOfEvaluation = ({
  task,
  evaluator,
  view,
}: Pick<ReportedEvaluation, 'task' | 'evaluator' | 'view'>): string =>
  [task, evaluator, view].filter((part) => part !== null).join(', ');

/** A table for each evaluator: figures by phase. */
export function evaluationTables(evaluations: readonly ReportedEvaluation[]): string[] {
  const names = [...new Set(evaluations.map(nameOfEvaluation))];
  const tables = names.map((name) => {
    const own = evaluations.filter((one) => nameOfEvaluation(one) === name).slice(0, most.phases);
    const figures = [...new Set(own.flatMap(({ figures }) => figures.map((figure) => figure.name)))].slice(
      0,
      most.rows,
    );
    const rows = figures.map(
      (figure): Cells => [
        figure,
        ...own.map((one): Cell => figureCell(one.figures.find((found) => found.name === figure))),
      ],
    );
    const head = ['figure', ...own.map(({ phase, step }) => `${phase}@${step}`)];
    const pictures = [...new Set(own.map(({ examples }) => examples))].join(', ');
    const notes = [...new Set(own.flatMap(({ notes }) => notes))]
      .slice(0, 10)
      .map((note) => `<li>${escaped(note)}</li>`);
    return `<h3>${escaped(name)}, ${pictures} pictures</h3>\n${folded(name, head, rows)}${notes.length > 0 ? `\n<ul>${notes.join('')}</ul>` : ''}`;
  });
  if (tables.length === 0) return [];
  const any = evaluations.some(({ figures }) => figures.some(({ interval }) => interval !== null));
  const said = any
    ? 'In brackets: the interval of 95 %, from pictures drawn again.'
    : 'The documents of these evaluations hold no intervals.';
  return [`<p class="absent">${said}</p>`, ...tables];
}

type Cells = readonly [string, ...Cell[]];

const numberCell = (name: string, value: number): Cell => ({ html: figureText(name, value), kind: 'number' });

/** Figures of single languages are many: they are there for who opens them. */
function folded(label: string, head: readonly string[], rows: readonly Cells[]): string {
  const single = rows.filter(([name]) => name.startsWith('by_language.'));
  const others = rows.filter(([name]) => !name.startsWith('by_language.'));
  if (others.length === 0 || single.length === 0) return table(label, head, rows);
  return `${table(label, head, others)}
<details><summary>by language</summary>
${table(`${label}, by language`, head, single)}
</details>`;
}

function figureCell(figure: ReportedFigure | undefined): Cell {
  if (!figure) return { html: '', kind: 'number' };
  const { name, value, interval } = figure;
  const between = interval
    ? ` <span class="none">(${figureText(name, interval.low)} to ${figureText(name, interval.high)})</span>`
    : '';
  return { html: `${figureText(name, value)}${between}`, kind: 'number' };
}

/** A table for each phase and evaluator: before, after, and the difference. */
export function gainTables(comparisons: readonly Comparison[], more = ''): string[] {
  const tables = comparisons.map(({ phase, parent, what, rows }) => {
    const cells = rows
      .slice(0, most.rows)
      .map(
        (row): Cells => [
          row.name,
          numberCell(row.name, row.before),
          numberCell(row.name, row.after),
          differenceCell(row),
        ],
      );
    return `<h3>${escaped(phase)} against ${escaped(parent)}: ${escaped(what)}</h3>\n${folded(`${phase} against ${parent}, ${what}`, ['figure', parent, phase, 'difference'], cells)}`;
  });
  if (tables.length === 0) return [];
  return [
    `<p class="absent">Paired over the same pictures, with its interval of 95 %. A difference inside its interval is none.${more === '' ? '' : ` ${escaped(more, 500)}`}</p>`,
    ...tables,
  ];
}

/** "none" where the interval holds zero; without an interval the difference is said, and that nothing tells its size. */
function differenceCell({ name, before, after, interval }: ComparedFigure): Cell {
  const share = isShare(name, before) && isShare(name, after);
  const text = (difference: number) => differenceText(difference, share);
  const unit = share ? ' points' : '';
  if (!interval) return { html: `${text(after - before)}${unit}, interval not known`, kind: 'none' };
  const between = `(${text(interval.low)} to ${text(interval.high)})`;
  if (interval.low <= 0 && interval.high >= 0) return { html: `none ${between}`, kind: 'none' };
  return { html: `${text(after - before)}${unit} ${between}`, kind: 'differs' };
}
