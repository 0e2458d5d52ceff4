import type { Census } from '../data/example/census.ts';
import type { DataIndex } from '../data/index/types.ts';
import type { Problem } from '../recipe/problem.ts';
import { mostBroken, percent } from '../recipe/reading.ts';
import { counted, number } from '../runtime/count-text.ts';

/** Shards that a run must not be trained on: where more is broken than the recipe allows. */
export function brokenProblems(
  places: string,
  index: Pick<DataIndex, 'prefix' | 'shards' | 'corrupt'>,
  { looked, whole, broken, unusable: reasons }: Census,
  data: { readonly maxBroken?: number | undefined },
): Problem[] {
  const most = mostBroken(data);
  const shards = index.shards.map(({ key, examples, corrupt: lost }) => {
    // Of examples that were not all looked at, those of one shard are too few to judge it by.
    return { key, broken: lost + (whole ? (broken.get(key) ?? 0) : 0), of: examples + lost };
  });
  const bad = shards.filter((shard) => shard.broken > most * shard.of);
  const [worst] = bad.sort((a, b) => b.broken / b.of - a.broken / a.of);
  const reasonIn = (shard: string) =>
    index.corrupt.find((one) => one.shard === shard)?.reason ??
    [...reasons].find(([, { first }]) => first.startsWith(`${shard}, `))?.[0] ??
    'as some of others';
  const unusable = [...broken.values()].reduce((sum, count) => sum + count, 0);
  const found = worst
    ? `${number(worst.broken)} of the ${number(worst.of)} examples of ${worst.key} can't be used (${reasonIn(worst.key)})${bad.length > 1 ? `, and too many of ${counted(bad.length - 1, 'other shard')}` : ''}`
    : !whole && unusable > most * looked
      ? `${number(unusable)} of ${number(looked)} examples that were looked at below ${index.prefix}/ can't be used`
      : null;
  if (found === null) return [];
  const [first] = index.prefix.split(', ');
  const place = worst ? worst.key.slice(0, worst.key.lastIndexOf('/')) : first;
  const message = `${places}: ${found}, and data.maxBroken allows ${percent(most)}; npm run siglip2 -- data look ${place} --all names them: mend them, or allow more`;
  return [{ fields: [places, 'data.maxBroken'], message, code: 'DataContract', mild: true }];
}
