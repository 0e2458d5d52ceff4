import type { Compared } from '../evaluate/explain.ts';
import { isCount, isShare } from '../evaluate/figure-kind.ts';
import { type EvaluationDocument, flatFigures } from '../evaluate/result.ts';
import { counted } from '../runtime/count-text.ts';
import { printableUpTo } from '../runtime/printable.ts';
import { publishedLines } from './published-lines.ts';

const percent = (share: number): string => `${(100 * share).toFixed(1)} %`.padStart(8);
const figureText = (name: string, value: number): string =>
  isShare(name) ? percent(value) : String(Number(value.toFixed(4))).padStart(8);

/** For people: each evaluator at each view, its figures, and what must be known of them. */
export function formatTaskResult({ task, model, figures }: EvaluationDocument): string {
  const lines = [`${task.name}: ${model.name}, sha256 ${model.sha256.slice(0, 12)}`];
  for (const { evaluator, view, examples, skipped, figures: found, intervals, notes } of figures) {
    lines.push('', `${evaluator}, ${view}, ${counted(examples, 'picture')}`);
    for (const [name, value] of flatFigures(found)) {
      const own = intervals[name];
      const between = own ? `  ${figureText(name, own.low).trim()} to ${figureText(name, own.high).trim()}` : '';
      lines.push(`  ${figureText(name, value)}  ${name}${between}`);
      for (const line of publishedLines(task, `${evaluator}.${name}`, view)) lines.push(`            ${line}`);
    }
    if (skipped)
      lines.push(
        `  ${counted(skipped.members, 'example')} could not be used, such as: ${skipped.reasons[0]?.reason ?? ''}`,
      );
    for (const note of notes) lines.push(`  ${note}`);
  }
  lines.push(...curveLines(figures));
  return `${lines.map(harmless).join('\n')}\n`;
}

/** Of an evaluator at several sizes each figure as a line over them, as in the paper's figure of lengths. */
function curveLines(figures: EvaluationDocument['figures']): string[] {
  const lines: string[] = [];
  for (const evaluator of new Set(figures.map((one) => one.evaluator))) {
    const own = figures.filter((one) => one.evaluator === evaluator);
    if (own.length < 2) continue;
    const views = own.map(({ view }) => view);
    const wide = Math.max(8, ...views.map(({ length }) => length));
    lines.push('', `${evaluator} over sizes`, `  ${views.map((view) => view.padStart(wide)).join(' ')}`);
    const at = own.map((one) => new Map(flatFigures(one.figures)));
    for (const name of at[0]!.keys()) {
      if (isCount(name)) continue;
      const values = at.map((one) => (one.has(name) ? figureText(name, one.get(name)!) : '-'));
      lines.push(`  ${values.map((value) => value.padStart(wide)).join(' ')}  ${name}`);
    }
  }
  return lines;
}

/** For people: which figures differ, and which settings. */
export function formatComparison(compared: readonly Compared[]): string {
  if (compared.length === 0) return 'the two results have no evaluator in common\n';
  const lines: string[] = [];
  for (const { evaluator, views, figures, settings, same } of compared) {
    if (lines.length > 0) lines.push('');
    lines.push(`${evaluator}, ${views[0] === views[1] ? views[0] : views.join(' and ')}`);
    const shown = figures.filter(({ name, a, b }) => a !== b || !isCount(name));
    for (const { name, a, b, difference } of shown) {
      const none = difference && !difference.differs ? '  no difference beyond the interval' : '';
      lines.push(`  ${figureText(name, a)} ${figureText(name, b)}  ${pointsOf(name, b - a)}  ${name}${none}`);
    }
    if (settings.length === 0) lines.push(`  all ${same} settings are the same`);
    else
      lines.push(
        `  ${counted(settings.length, 'setting differs', 'settings differ')}, ${same} ${same === 1 ? 'is' : 'are'} the same:`,
      );
    for (const { name, a, b } of settings) lines.push(`    ${name}: ${said(a)} -> ${said(b)}`);
  }
  return `${lines.map(harmless).join('\n')}\n`;
}

/** A line of what may be anyone's result. */
const harmless = (line: string): string => printableUpTo(1000, line);

const said = (value: unknown): string => (value === null ? '(not told)' : String(value));

/** "+3.5 points", as wide as any. */
export function pointsOf(name: string, difference: number): string {
  const sign = difference < 0 ? '-' : '+';
  const size = isShare(name) ? (100 * Math.abs(difference)).toFixed(1) : Number(Math.abs(difference).toFixed(4));
  return `${sign}${size}${isShare(name) ? ' points' : ''}`.padStart(12);
}
