import type { FilterDocument } from '../data/index/filter-document.ts';
import { counted } from '../runtime/count-text.ts';

/** What a filter answers, and `data filter --show` prints: its document without the shards. Below some 10 KB. */
export type FilterReport = Omit<FilterDocument, 'shards' | 'version'> & {
  readonly shards: number;
};

export function reportOf({ shards, version: _, ...document }: FilterDocument): FilterReport {
  return { ...document, shards: shards.length };
}

const number = (value: number) => value.toLocaleString('en-US', { maximumFractionDigits: 0 });

/** For people: how much remains, and what was left out by which reason. */
export function formatFilter({ name, examples, kept, masked, broken, notes, shards }: FilterReport): string {
  const share = (part: number) => `${((100 * part) / Math.max(1, examples)).toFixed(1)} %`;
  const lines = [
    `filter ${name}: ${number(kept)} of ${counted(examples, 'example remains', 'examples remain')} (${share(kept)}), in ${counted(shards, 'shard')}`,
  ];
  const left = Object.entries(masked).sort(([a, one], [b, two]) => two - one || (a < b ? -1 : 1));
  for (const [reason, count] of left) lines.push(`  left out: ${number(count)} (${share(count)}), ${reason}`);
  const whole = left.reduce((sum, [, count]) => sum + count, 0);
  const thinned = examples - whole - kept;
  if (thinned > 0.5)
    lines.push(`  left out by weights below 1, as they are drawn: about ${number(thinned)} (${share(thinned)})`);
  if (broken > 0)
    lines.push(`  ${number(broken)} can't be used: they are left to training, which skips and counts them`);
  for (const [note, value] of Object.entries(notes)) lines.push(`  ${note}: ${value.toLocaleString('en-US')}`);
  lines.push('Put this into the data of the recipe:', `  "filter": ${JSON.stringify(name)}`);
  return `${lines.join('\n')}\n`;
}
