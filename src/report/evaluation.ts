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

const besideSaid = 'Beside it: a phase that began alike and saw as many examples.';

/** What rose, what fell and what did not move, a line for each phase and what it is held against; then all of it in tables. */
export function gainTables(comparisons: readonly Comparison[], more = besideSaid): string[] {
  const tables = comparisons.map(({ phase, parent, what, rows, beside }) => {
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
    const title = `${escaped(phase)} against ${escaped(parent)}${beside ? ', beside it' : ''}: ${escaped(what)}`;
    return `<h3>${title}</h3>\n${folded(`${phase} against ${parent}, ${what}`, ['figure', parent, phase, 'difference'], cells)}`;
  });
  if (tables.length === 0) return [];
  return [
    `<p class="absent">Paired over the same pictures, with its interval of 95 %. A difference inside its interval is none. ${escaped(more, 500)}</p>`,
    summary(comparisons),
    ...tables,
  ];
}

/** Figures in a cell of the summary; what is more is counted. */
const mostNamed = 12;

function summary(comparisons: readonly Comparison[]): string {
  const pairs = [...new Set(comparisons.map(({ phase, parent }) => JSON.stringify([phase, parent])))];
  const rows = pairs.map((pair) => {
    const own = comparisons.filter(({ phase, parent }) => JSON.stringify([phase, parent]) === pair);
    const { phase, parent, beside } = own[0]!;
    const moved = own.flatMap(({ what, rows }) => {
      // Figures of single languages are many; where there is no mean over them, they are all that there is.
      const means = rows.filter(({ name }) => !name.startsWith('by_language.'));
      return (means.length > 0 ? means : rows).map((row) => ({ what, row }));
    });
    const named = (wanted: Moved) => {
      const these = moved.filter(({ row }) => movedOf(row) === wanted);
      const said = these.slice(0, mostNamed).map(({ what, row }) => `${what} ${row.name}${sizeOf(row, wanted)}`);
      return [...said, ...(these.length > mostNamed ? [`${these.length - mostNamed} more`] : [])].join('; ') || 'none';
    };
    return [
      phase,
      `${parent}${beside ? ', beside it' : ''}`,
      named('rose'),
      named('fell'),
      named('same'),
      named('unknown'),
    ];
  });
  const head = ['phase', 'against', 'rose', 'fell', 'no difference', 'interval not known'];
  return table('What rose and what fell', head, rows);
}

type Moved = 'rose' | 'fell' | 'same' | 'unknown';

function movedOf({ before, after, interval }: ComparedFigure): Moved {
  if (!interval) return 'unknown';
  if (interval.low <= 0 && interval.high >= 0) return 'same';
  return after > before ? 'rose' : 'fell';
}

const sizeOf = ({ name, before, after }: ComparedFigure, moved: Moved): string =>
  moved === 'rose' || moved === 'fell'
    ? ` ${differenceText(after - before, isShare(name, before) && isShare(name, after))}`
    : '';

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
