import { planAnnotation as look } from '../src/annotation/plan.ts';
import { parseAnnotation } from '../src/annotation/settings.ts';
import { probeConditionalWrites } from '../src/storage/conditional-writes.ts';
import type { Attempt, Dependencies } from './dependencies.ts';
import { keepDocumentBelow } from './documents.ts';
import { beat } from './heartbeat.ts';
import type { AnnotatePlan } from './types/annotation.ts';

/** Checks what an annotation is started with, and keeps it where its regions will lie. Calling it again changes nothing. */
export async function planAnnotation(
  { store, log }: Dependencies,
  input: unknown,
  attempt: Attempt,
): Promise<AnnotatePlan> {
  const heart = beat(attempt);
  try {
    const settings = parseAnnotation(input);
    await probeConditionalWrites(store);
    const plan = await look(store, settings);
    const { out, shards, annotation } = plan;
    const document = await keepDocumentBelow(store, `${out}/`, 'annotation', plan);
    log.info({ out, annotation, shards: shards.length }, 'annotation planned');
    return { document, shards: shards.length, out };
  } finally {
    heart.stop();
  }
}
