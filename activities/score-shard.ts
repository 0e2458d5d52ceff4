import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { mappingOfShard } from '../src/data/index/mixed-index.ts';
import { openIndex } from '../src/data/index/open-index.ts';
import type { StoredIndex } from '../src/data/index/types.ts';
import type { PhaseSettings } from '../src/recipe/phase-settings.ts';
import type { ScoredFile } from '../src/scoring/job.ts';
import { inspectScores } from '../src/scoring/score-object.ts';
import { askTrainer } from './ask-trainer.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { readDocumentAs } from './documents.ts';
import { beat } from './heartbeat.ts';
import { putOnce } from './put-once.ts';
import { ofShard, scoreFacts, scoresKey } from './scores.ts';
import { settleCpu } from './settle-cpu.ts';
import { withTeacher } from './teacher-folder.ts';
import { requireTrainer } from './train-from.ts';
import type { ScoreShardInput, ScoreShardResult } from './types/scoring.ts';

/**
 * Has a teacher embed every example of a data shard and keeps the embeddings in the bucket. Its key is a pure function
 * of the input and is written once: of several attempts one counts, and what is there already is verified and adopted
 * without a device. When it is cancelled it leaves nothing; it is cheap to do again.
 */
export async function scoreShard(
  deps: Dependencies,
  given: ScoreShardInput,
  attempt: Attempt,
): Promise<ScoreShardResult> {
  const { store, scratch } = deps;
  const { plan, teacher, shard } = given;
  const folder = join(scratch, plan.run, plan.phase, attempt.id);
  let doing = 'looking for stored scores';
  const tell = (text: string) => {
    doing = text;
  };
  const heart = beat(attempt, () => ({ doing }));
  try {
    const documents = join(scratch, 'documents');
    const index = openIndex(await readDocumentAs<StoredIndex>(store, plan.index, documents), store);
    // The teacher is shown what the phase trains on: at its own resolution, resized alike.
    const { batches } = await readDocumentAs<PhaseSettings>(store, plan.settings, documents);
    const { resize } = batches.data;
    const input = ofShard(given, index, shard);
    const facts = await scoreFacts(input, index, shard, resize);
    const mapping = mappingOfShard(index, shard);
    const read = mapping && { read: mapping };
    const key = scoresKey(input, shard, resize);
    const examples = facts.shard.examples.length;
    const there = async () => {
      const found = await inspectScores(store, key, facts);
      return found && { shard, examples, ...found };
    };
    const before = await there();
    if (before) return before;
    const out = join(folder, 'scores.safetensors');
    await mkdir(folder, { recursive: true });
    doing = `fetching the teacher ${facts.teacher.name}`;
    const scored = await withTeacher(deps, teacher.checkpoint, attempt.signal, async (local) => {
      const cpu = await settleCpu(store, plan, requireTrainer(deps), deps.cpu);
      const threads = cpu && { threads: cpu.threads };
      const job = {
        kind: 'score',
        folder: local,
        out,
        vocabulary: batches.vocabulary,
        ...facts,
        ...read,
        ...threads,
      } as const;
      const of = { run: plan.run, phase: plan.phase };
      return askTrainer<ScoredFile>(deps, attempt, job, { of, what: 'the shard was scored', tell });
    });
    await deps.onPoint?.('scored');
    doing = 'uploading the scores';
    const { bytes, sha256, corrupt } = scored;
    return await putOnce(async () => {
      const { etag } = await store.putFile(key, out, { ifAbsent: true, sha256, signal: attempt.signal });
      await deps.onPoint?.('stored');
      return { shard, examples, bytes, etag, corrupt };
    }, there);
  } finally {
    heart.stop();
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}
