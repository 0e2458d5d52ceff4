import { join } from 'node:path';
import pMap from 'p-map';
import { openIndex } from '../src/data/index/open-index.ts';
import type { ScoreIndex } from '../src/data/index/score-index.ts';
import type { StoredIndex } from '../src/data/index/types.ts';
import { readHead } from '../src/model/head-scalars.ts';
import { embeddingWidth } from '../src/model/sizes.ts';
import type { PhaseSettings, TeacherSettings } from '../src/recipe/phase-settings.ts';
import type { Resize } from '../src/recipe/schema.ts';
import { RunnerError } from '../src/runtime/errors.ts';
import { readScoreHeader, scoresDamaged } from '../src/scoring/score-header.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { keepDocument, readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import { ofShard, scoreFacts, scoresKey, sharedFacts } from './scores.ts';
import { withTeacher } from './teacher-folder.ts';
import type { PhasePlan } from './types/plan.ts';
import type { Scoring, SealInput } from './types/scoring.ts';

/**
 * The plan of a phase of curation whose settings name the teacher and, where every example was scored before, one
 * document of all files of scores. Each of them must be there, and of this teacher, these settings and this data. Doing
 * it again gives the same plan.
 */
export async function sealScores(deps: Dependencies, input: SealInput, attempt: Attempt): Promise<PhasePlan> {
  const { store, scratch } = deps;
  const { plan, teacher } = input;
  const curation = plan.curation!;
  const heart = beat(attempt);
  try {
    const documents = join(scratch, 'documents');
    const { model, languages, sourceLanguages, dtype, stored } = curation;
    const own = { languages, ...(sourceLanguages && { sourceLanguages }), dtype };
    const scoring: Scoring = { plan, teacher: { checkpoint: teacher, model }, ...own };
    const before = await readDocumentAs<PhaseSettings>(store, plan.settings, documents);
    const width = embeddingWidth(model);
    const named = ({ logitScale, logitBias }: Pick<TeacherSettings, 'logitScale' | 'logitBias'>): TeacherSettings => {
      return { sha256: teacher.sha256, model, logitScale, logitBias };
    };
    let settings: PhaseSettings;
    if (stored) {
      const scores = await indexScores(deps, scoring, before.batches.data.resize);
      const document = await keepDocument(store, plan.run, `${plan.phase}-scores`, scores);
      const parts = { ...before.batches.parts, teacherScores: { scores: document, width } };
      settings = withCuration({ ...before, batches: { ...before.batches, parts } }, named(scores));
    } else if (before.curation!.scores === 'hardLearner') {
      // The learner alone scores.
      settings = before;
    } else {
      const numbers = await withTeacher(deps, teacher, attempt.signal, readHead);
      const { resolution } = model.vision;
      const seen = resolution === before.batches.resolution ? {} : { teacherView: { resolution } };
      const parts = { ...before.batches.parts, ...seen };
      settings = withCuration({ ...before, batches: { ...before.batches, parts } }, named(numbers));
    }
    return {
      ...plan,
      settings: await keepDocument(store, plan.run, `${plan.phase}-settings`, settings),
      curation: { ...curation, sealed: teacher },
    };
  } finally {
    heart.stop();
  }
}

const withCuration = (settings: PhaseSettings, teacher: TeacherSettings): PhaseSettings => {
  return { ...settings, curation: { ...settings.curation!, teacher } };
};

/** One document of the scores of all shards, for training to read them by. */
async function indexScores(
  { store, scratch }: Dependencies,
  scoring: Scoring,
  resize: Resize | undefined,
): Promise<ScoreIndex> {
  const { plan, teacher, dtype } = scoring;
  const index = openIndex(await readDocumentAs<StoredIndex>(store, plan.index, join(scratch, 'documents')), store);
  const files = await pMap(
    index.shards.keys(),
    async (shard) => {
      const own = ofShard(scoring, index, shard);
      const key = scoresKey(own, shard, resize);
      const found = await store.head(key);
      if (!found)
        throw new RunnerError(
          'DataContract',
          `s3://${store.bucket}/${key} is missing, the scores of data shard ${shard}; retryPhase has it scored again`,
        );
      const { bytes, etag } = found;
      const facts = await scoreFacts(own, index, shard, resize);
      const header = await readScoreHeader(store, { key, bytes, etag }, facts);
      const { languages } = facts;
      return { ...header, key, bytes, etag, examples: facts.shard.examples.length, languages };
    },
    { concurrency: 16 },
  );
  const { logitScale, logitBias } = files[0]!;
  const other = files.find((file) => file.logitScale !== logitScale || file.logitBias !== logitBias);
  if (other) throw scoresDamaged(store, other.key, `says another logit_scale or logit_bias than ${files[0]!.key}`);
  const { run, phase, revision, step, sha256 } = teacher.checkpoint;
  return {
    version: 1,
    teacher: { run, phase, revision, step, sha256 },
    logitScale,
    logitBias,
    width: embeddingWidth(teacher.model),
    dtype,
    languages: sharedFacts(scoring).languages,
    dataFingerprint: index.fingerprint,
    shards: files.map(({ key, bytes, etag, examples, offset, dataSha256, corrupt, languages }) => {
      const own = index.sources && { languages };
      return { key, bytes, etag, examples, offset, sha256: dataSha256, corrupt, ...own };
    }),
  };
}
