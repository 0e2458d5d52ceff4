import { pythonFloat } from './python-text.ts';
import type { NamedFigure } from './result.ts';

/**
 * The `results-*.csv` of DINOv3 (eval/results.py): a line of names and one of values, an empty field where there is none. It makes
 * whole numbers of columns that have no others; pandas quotes what has a comma, a quote or a line end.
 */
export function dinov3Csv(figures: readonly NamedFigure[]): string {
  const row = (cells: readonly string[]) => `${cells.map(quoted).join(',')}\n`;
  const value = (one: number | null) => {
    if (one === null || Number.isNaN(one)) return '';
    return Number.isSafeInteger(one) ? String(one) : pythonFloat(one);
  };
  return row(figures.map(({ name }) => name)) + row(figures.map((figure) => value(figure.value)));
}

const quoted = (cell: string) => (/[",\r\n]/.test(cell) ? `"${cell.replaceAll('"', '""')}"` : cell);

/** `results-depth.csv`: the data set before each name. */
export const depthColumns = (dataset: string, figures: readonly NamedFigure[]): NamedFigure[] =>
  figures.map(({ name, value }) => ({ name: `${dataset}_${name}`, value }));

/** `results-semantic-segmentation.csv`: percent, two digits. */
export const segmentationColumns = (figures: readonly NamedFigure[]): NamedFigure[] =>
  figures.map(({ name, value }) => ({ name, value: value === null ? null : Math.round(value * 10_000) / 100 }));

/** `results-knn.csv`: `k20.top1` is `20 Top 1`, in percent. */
export const knnColumns = (figures: readonly NamedFigure[]): NamedFigure[] =>
  figures.flatMap(({ name, value }) => {
    const parts = /^k(\d+)\.top(\d+)$/.exec(name);
    return parts ? [{ name: `${parts[1]} Top ${parts[2]}`, value: value === null ? null : 100 * value }] : [];
  });
