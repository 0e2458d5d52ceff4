import { join } from 'node:path';
import pMap from 'p-map';
import { readScoreHeader, scoresDamaged } from '../src/curation/score-header.ts';
import type { ScoreIndex } from '../src/data/score-index.ts';
import type { DataIndex } from '../src/data/types.ts';
import { embeddingWidth } from '../src/model/sizes.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { keepDocument, readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import { scoreFacts, scoresKey } from './scores.ts';
import type { ScoreShardResult, SealedScores, SealScoresInput } from './types.ts';

/**
 * Makes one document of the scores of all shards, for training to read them by: each file is there as it was
 * answered, and all are of this teacher, of these settings and of this data. Doing it again gives the same document.
 */
export async function sealScores(
  { store, scratch }: Dependencies,
  input: SealScoresInput,
  attempt: Attempt,
): Promise<SealedScores> {
  const { plan, teacher, dtype } = input;
  const heart = beat(attempt);
  try {
    const index = await readDocumentAs<DataIndex>(store, plan.index, join(scratch, 'documents'));
    const results = inOrder(input.results, index.shards.length);
    const { languages } = scoreFacts(input, index, 0);
    const files = await pMap(
      results,
      async ({ shard, bytes, etag, sha256, examples, corrupt }) => {
        const key = scoresKey(input, shard);
        const header = await readScoreHeader(store, { key, bytes, etag }, scoreFacts(input, index, shard));
        if (header.corrupt.length !== corrupt)
          throw scoresDamaged(
            store,
            key,
            `says ${header.corrupt.length} corrupt examples, and ${corrupt} were answered`,
          );
        return { ...header, key, bytes, etag, sha256, examples };
      },
      { concurrency: 16 },
    );
    const { logitScale, logitBias } = files[0]!;
    const other = files.find((file) => file.logitScale !== logitScale || file.logitBias !== logitBias);
    if (other) throw scoresDamaged(store, other.key, `says another logit_scale or logit_bias than ${files[0]!.key}`);
    const { run, phase, revision, step, sha256 } = teacher.checkpoint;
    const scores: ScoreIndex = {
      version: 1,
      teacher: { run, phase, revision, step, sha256 },
      temperature: Math.exp(logitScale),
      logitBias,
      width: embeddingWidth(teacher.model),
      dtype,
      languages,
      dataFingerprint: index.fingerprint,
      shards: files.map(({ key, bytes, etag, sha256, examples, offset, corrupt }) => ({
        ...{ key, bytes, etag, sha256, examples, offset, corrupt },
      })),
    };
    const sum = (of: (result: ScoreShardResult) => number) => results.reduce((total, one) => total + of(one), 0);
    return {
      scores: await keepDocument(store, plan.run, `${plan.phase}-scores`, scores),
      width: scores.width,
      bytes: sum(({ bytes }) => bytes),
      examples: sum(({ examples }) => examples),
      corrupt: sum(({ corrupt }) => corrupt),
    };
  } finally {
    heart.stop();
  }
}

/** One result for each shard, none missing and none twice. */
function inOrder(results: readonly ScoreShardResult[], shards: number): ScoreShardResult[] {
  const sorted = [...results].sort((a, b) => a.shard - b.shard);
  const wrong = sorted.findIndex(({ shard }, i) => shard !== i);
  if (sorted.length === shards && wrong < 0) return sorted;
  throw new RunnerError(
    'DataContract',
    `scores of ${shards} data shards are to be sealed, and those of ${sorted.map(({ shard }) => shard).slice(0, 20)} were given`,
  );
}
