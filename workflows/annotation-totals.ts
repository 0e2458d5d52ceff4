import type { AnnotateShardResult } from '../activities/types/annotation.ts';
import type { AnnotationTotals } from './results.ts';

type Broken = NonNullable<AnnotateShardResult['broken']>;

export const noTotals: AnnotationTotals = { counts: null, bytes: 0, broken: null };

/** Reasons that are told apart. */
const mostReasons = 10;

export function addShard({ counts, bytes, broken }: AnnotationTotals, shard: AnnotateShardResult): AnnotationTotals {
  return {
    counts: counts ? sum(counts, shard.counts) : shard.counts,
    bytes: bytes + shard.bytes,
    broken: broken && shard.broken ? bothBroken(broken, shard.broken) : (broken ?? shard.broken),
  };
}

function sum<T extends object>(a: T, b: T): T {
  return Object.fromEntries(
    Object.entries(a).map(([name, one]) => {
      const other: unknown = b[name as keyof T];
      return [name, typeof one === 'number' ? one + (other as number) : sum(one as object, other as object)];
    }),
  ) as T;
}

function bothBroken(a: Broken, b: Broken): Broken {
  const reasons = new Map(a.reasons.map((reason) => [reason.reason, reason]));
  for (const reason of b.reasons) {
    const known = reasons.get(reason.reason);
    reasons.set(reason.reason, known ? { ...known, members: known.members + reason.members } : reason);
  }
  const sorted = [...reasons.values()].sort((x, y) => y.members - x.members || (x.reason < y.reason ? -1 : 1));
  const [shown, left] = [sorted.slice(0, mostReasons), sorted.slice(mostReasons)];
  const others = left.reduce((total, { members }) => total + members, 0);
  if (others > 0) shown.push({ reason: 'other reasons', members: others, example: '' });
  return { members: a.members + b.members, ...((a.orMore || b.orMore) && { orMore: true as const }), reasons: shown };
}
