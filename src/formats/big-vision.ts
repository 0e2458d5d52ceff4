import { pythonJson } from './python-text.ts';
import type { NamedFigure } from './result.ts';

/**
 * A line of `big_vision_metrics.txt` (utils.py, BigVisionMetricWriter.step_end): a step with all that was measured at it. Names
 * begin with that of the evaluator, as `measure(f"{prefix}{name}")` has them. A step without figures has no line.
 */
export function bigVisionLine(step: number, prefix: string, figures: readonly NamedFigure[]): string {
  if (figures.length === 0) return '';
  const measured = Object.fromEntries(figures.map(({ name, value }) => [`${prefix}${name}`, value]));
  const line = pythonJson(measured);
  return `{"step": ${step}, ${line.slice(1)}\n`;
}
