import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CancelledFailure } from '@temporalio/common';
import type { CheckpointRef } from '../src/checkpoint/types.ts';
import type { EmbeddedPart } from '../src/evaluate/features/job.ts';
import { type ClassSpec, featureKey, type ImageSpec } from '../src/evaluate/features/spec.ts';
import type { TaskPlan } from '../src/evaluate/task-plan.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { fetchDocument, readDocumentAs } from './documents.ts';
import { specOf, storedPart } from './evaluation-features.ts';
import { beat } from './heartbeat.ts';
import { putOnce } from './put-once.ts';
import { withTeacher } from './teacher-folder.ts';
import { requireTrainer } from './train-from.ts';
import type { EmbedPartInput, EmbedPartResult } from './types/evaluation.ts';

/**
 * Makes one part of the features of an evaluation and keeps it in the bucket. Its key is a pure function of what it is made
 * of, and is written once: what is there already, of whichever evaluation, is verified and adopted without a device.
 */
export async function embedPart(
  deps: Dependencies,
  { plan: { document }, set, part }: EmbedPartInput,
  attempt: Attempt,
): Promise<EmbedPartResult> {
  const { store, scratch, log } = deps;
  const folder = join(scratch, 'embed', attempt.id);
  let doing = 'looking for stored features';
  const heart = beat(attempt, () => ({ set, part, doing }));
  try {
    const documents = join(scratch, 'documents');
    const plan = await readDocumentAs<TaskPlan<CheckpointRef>>(store, document, documents);
    const spec = specOf(plan, set);
    const there = async () => {
      const facts = await storedPart(store, folder, spec, part);
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
    const embedded = async (local: string) => {
      doing = 'waiting for the device';
      const note = (text: string) => {
        doing = text;
        log.info({ task: plan.task.name }, text);
      };
      const { codeVersion } = plan;
      const job = { kind: 'embed', folder: local, model: spec.model.config, part, out, codeVersion, of } as const;
      return (await requireTrainer(deps).run(job, { note }, attempt.signal)) as EmbeddedPart | null;
    };
    const made = await withTeacher(deps, plan.model.checkpoint, attempt.signal, embedded, said);
    if (made === null) throw new CancelledFailure('stopped before the features were made');
    await deps.onPoint?.('scored');
    doing = 'uploading the features';
    return await putOnce(async () => {
      const { sha256, examples, skipped } = made;
      await store.putFile(featureKey(spec, part), out, { ifAbsent: true, sha256, signal: attempt.signal });
      await deps.onPoint?.('stored');
      return { examples, skipped };
    }, there);
  } finally {
    heart.stop();
    await rm(folder, { recursive: true, force: true }).catch(() => {});
  }
}
