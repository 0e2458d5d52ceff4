import type { Variant } from './variants.ts';

/** What a run of a variant came to. */
export interface Outcome extends Variant {
  readonly seed: number;
  /** Of what came of it, on pictures that it was trained on, as they are: the mean over 16 batches of the recipe. */
  readonly loss: number;
  /** Held-out zero-shot top-1, and recall at 1 of captions by pictures. */
  readonly top1: number;
  readonly recall: number;
  readonly seconds: number;
}

const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
/** What a variant is called; of one replica nothing else is said. */
export const nameOf = ({ replicas, roundSteps, exchange, moments, negatives, outer }: Variant) =>
  replicas === 1 ? '1' : [replicas, roundSteps, exchange, moments, negatives, outer].join(' | ');

/** As a table in Markdown: means over seeds, and the loss beside that of one replica. */
export function table(outcomes: readonly Outcome[]): string {
  const groups = [...new Set(outcomes.map(nameOf))].map((name) => ({
    name,
    own: outcomes.filter((one) => nameOf(one) === name),
  }));
  const alone = groups.find(({ name }) => name === '1')?.own;
  const rows = groups.map(({ name, own }) => {
    const loss = mean(own.map((one) => one.loss));
    const beside = alone ? (loss / mean(alone.map((one) => one.loss))).toFixed(3) : '';
    const percent = (of: (one: Outcome) => number) => `${(100 * mean(own.map(of))).toFixed(1)} %`;
    const cells = [name === '1' ? '1 | | | | |' : name, loss.toFixed(3), beside];
    return `| ${[...cells, percent((one) => one.top1), percent((one) => one.recall), own.length].join(' | ')} |`;
  });
  return [
    '| replicas | steps | exchange | moments | negatives | outer | loss | of one | top-1 | R@1 | seeds |',
    '|---|---|---|---|---|---|---|---|---|---|---|',
    ...rows,
  ].join('\n');
}
