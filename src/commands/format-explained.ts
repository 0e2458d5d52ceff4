import type { Compared, ComparedFigure } from '../evaluate/explain.ts';
import { isCount } from '../evaluate/figure-kind.ts';
import { printableUpTo } from '../runtime/printable.ts';
import { pointsOf } from './format-task-result.ts';

/** The first result against itself with one thing as the second has it. */
export interface Explained {
  /** Part of the task, or `model`. */
  readonly what: string;
  readonly compared: readonly Compared[];
}

/**
 * For people: of each figure that differs, how much each switch does alone, with its interval of 95 %, and what is left between
 * their sum and the whole: things that act on one another. A figure that a switch has not is left out of its sum.
 */
export function formatExplained(whole: readonly Compared[], explained: readonly Explained[]): string {
  if (explained.length === 0) return '\nnothing can be switched: the two tasks and models are the same\n';
  const lines: string[] = ['', 'what each explains, switched alone in the first:'];
  for (const { evaluator, views, figures } of whole) {
    const switched = explained.map(({ what, compared }) => ({
      what,
      figures: compared.find((one) => one.evaluator === evaluator && one.views[0] === views[0])?.figures ?? [],
    }));
    const own = figures.filter(
      ({ name, a, b }) =>
        !isCount(name) && (a !== b || switched.some(({ figures }) => (figureOf(figures, name)?.b ?? a) !== a)),
    );
    for (const figure of own) {
      lines.push('', `${evaluator} ${views[0]} ${figure.name}`);
      let sum = 0;
      for (const { what, figures } of switched) {
        const found = figureOf(figures, figure.name);
        if (!found) continue;
        sum += found.b - found.a;
        lines.push(lineOf(what, found));
      }
      lines.push(lineOf('all of it', figure));
      const rest = figure.b - figure.a - sum;
      if (explained.length > 1) lines.push(`  ${pointsOf(figure.name, rest)}  not explained by any alone`);
    }
  }
  if (lines.length === 2) lines.push('', '  no figure changes');
  return `${lines.map((line) => printableUpTo(1000, line)).join('\n')}\n`;
}

const figureOf = (figures: readonly ComparedFigure[], name: string) => figures.find((one) => one.name === name);

function lineOf(what: string, { name, a, b, difference }: ComparedFigure): string {
  const between = difference
    ? `  (${pointsOf(name, difference.low).trim()} to ${pointsOf(name, difference.high).trim()})${difference.differs ? '' : ' none beyond the interval'}`
    : '';
  return `  ${pointsOf(name, b - a)}  ${what}${between}`;
}
