import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import type { EmbeddedPart } from '../src/evaluate/features/job.ts';
import { type ClassSpec, featureKey, type ImageSpec } from '../src/evaluate/features/spec.ts';
import type { TaskPlan } from '../src/evaluate/task-plan.ts';
import { askTrainer } from './ask-trainer.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { fetchDocument, readDocumentAs } from './documents.ts';
import { specOf, storedPart } from './evaluation-features.ts';
import { beat } from './heartbeat.ts';
import { putOnce } from './put-once.ts';
import { withTeacher } from './teacher-folder.ts';
import type { EmbedInput, EmbedPartResult } from './types/evaluation.ts';

/**
 * Makes one part of the features of an evaluation and keeps it in the bucket. Its key is a pure function of what it is made
 * of, and is written once: what is there already, of whichever evaluation, is verified and adopted without a device.
 */
export async function embedPart(
  deps: Dependencies,
  { plan: { document }, set, part }: EmbedInput,
  attempt: Attempt,
): Promise<EmbedPartResult> {
  const { store, scratch } = deps;
  const folder = join(scratch, 'embed', attempt.id);
  let doing = 'looking for stored features';
  const tell = (text: string) => {
    doing = text;
  };
  const heart = beat(attempt, () => ({ set, part, doing }));
  try {
    const documents = join(scratch, 'documents');
    const plan = await readDocumentAs<TaskPlan<CheckpointRef>>(store, document, documents);
    const spec = specOf(plan, set);
    const key = featureKey(spec, part, set === 'classes' ? undefined : plan[set]?.at);
    const there = async () => {
      const facts = await storedPart(store, folder, spec, part, key);
      return facts && { examples: facts.examples.length, skipped: facts.skipped.length };
    };
    const before = await there();
    if (before) return before;
    const out = join(folder, 'features.safetensors');
    await mkdir(folder, { recursive: true });
    const index = set === 'classes' ? null : plan[set]!.index;
    const of = index
      ? { images: spec as ImageSpec, indexFile: await fetchDocument(store, index, documents) }
      : { classes: spec as ClassSpec };
    doing = `fetching ${plan.model.name}`;
    const said = 'said' in spec ? spec.said?.files : undefined;
    const embedded = (local: string) => {
      const { codeVersion } = plan;
      const job = { kind: 'embed', folder: local, model: spec.model.config, part, out, codeVersion, of } as const;
      const told = { of: { task: plan.task.name }, what: 'the features were made', tell };
      return askTrainer<EmbeddedPart>(deps, attempt, job, told);
    };
    const made = await withTeacher(deps, plan.model.checkpoint, attempt.signal, embedded, said);
    await deps.onPoint?.('scored');
    doing = 'uploading the features';
    return await putOnce(async () => {
      const { sha256, examples, skipped } = made;
      await store.putFile(key, out, { ifAbsent: true, sha256, signal: attempt.signal });
      await deps.onPoint?.('stored');
      return { examples, skipped };
    }, there);
  } finally {
    heart.stop();
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}
