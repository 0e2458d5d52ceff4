import { nameOf } from '../src/checkpoint/damage.ts';
import { scoreKey } from '../src/checkpoint/keys.ts';
import { inlineShard } from '../src/data/index/open-index.ts';
import type { DataIndex } from '../src/data/index/types.ts';
import type { Resize } from '../src/recipe/schema.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import { type ScoreFacts, scoringHash } from '../src/scoring/score-file.ts';
import type { Scoring } from './types/scoring.ts';

/** Where the scores of a data shard lie: a pure function of teacher, settings and data. */
export function scoresKey(scoring: Scoring, shard: number, resize?: Resize): string {
  const { run, phase, index } = scoring.plan;
  return scoreKey({
    run,
    phase,
    scoring: scoringHash(sharedFacts(scoring, resize), index.identity ?? index.sha256),
    shard,
  });
}

/** The scoring of one shard: of a mixture in the languages of its source alone. */
export function ofShard<T extends Scoring>(scoring: T, { sources }: DataIndex, shard: number): T {
  const source = sources?.findLastIndex(({ first }) => first <= shard) ?? -1;
  const own = scoring.sourceLanguages?.[source];
  return own ? { ...scoring, languages: own } : scoring;
}

/** All that a file of scores says about itself. */
export async function scoreFacts(
  scoring: Scoring,
  index: DataIndex,
  number: number,
  resize?: Resize,
): Promise<ScoreFacts> {
  if (index.shards[number]) return { ...sharedFacts(scoring, resize), shard: await inlineShard(index, number) };
  throw new RunnerError('DataContract', `there is no data shard ${number}, there are ${index.shards.length}`);
}

export function sharedFacts(
  { teacher: { checkpoint, model }, languages, dtype }: Scoring,
  resize?: Resize,
): Omit<ScoreFacts, 'shard'> {
  const teacher = { name: nameOf(checkpoint), sha256: checkpoint.sha256 };
  return { teacher, model, languages: [...new Set(languages)].sort(), dtype, ...(resize && { resize }) };
}
