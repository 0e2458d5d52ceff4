import type { IndexOptions } from '../data/index/index-data.ts';
import { outOf } from '../runtime/count-text.ts';
import { say } from './output.ts';

const everyMs = 5000;

/** Says on stderr how many shards are indexed, now and then: it takes a while where shards are many and have no index yet. */
export function sayIndexed(): NonNullable<IndexOptions['onIndexed']> {
  let told = performance.now();
  return (shards, of) => {
    if (performance.now() - told < everyMs) return;
    told = performance.now();
    say(`indexed ${outOf(shards, of, 'shard')}`);
  };
}
