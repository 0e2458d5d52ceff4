import { runPrefix } from '../checkpoint/keys.ts';
import { unpin } from '../checkpoint/pins.ts';
import { embeddingHolder, embeddingKey, embeddingPrefix } from '../embeddings/keys.ts';
import type { EmbeddingPlan } from '../embeddings/plan.ts';
import { counted } from '../runtime/count-text.ts';
import { RunnerError } from '../runtime/errors.ts';
import { jsonAt } from '../storage/json-at.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/**
 * Deletes embeddings, their parts and their hold of the model. Without `yes` nothing is deleted; the lines say what would be.
 * The manifest goes first, so that what is left half is none, and plans last: they say what was held.
 */
export async function* removeEmbeddings(store: ObjectStore, name: string, yes: boolean): AsyncIterable<string> {
  const manifest = await store.head(embeddingKey(name));
  let [objects, bytes] = [manifest ? 1 : 0, manifest?.bytes ?? 0];
  const plans: string[] = [];
  if (yes && manifest) await store.purge(embeddingKey(name));
  for await (const one of store.list(embeddingPrefix(name))) {
    objects++;
    bytes += one.bytes;
    if (/\/plan-[0-9a-f]+\.json$/.test(one.key)) plans.push(one.key);
    else if (yes) await store.purge(one.key);
  }
  if (objects === 0)
    throw new RunnerError(
      'ObjectMissing',
      `bucket ${store.bucket} has no embeddings ${name}; npm run siglip2 -- ls shows what is there`,
    );
  for (const key of yes ? plans : []) {
    const plan = (await jsonAt(store, key)) as Partial<EmbeddingPlan> | null;
    if (plan?.model) await unpin(store, plan.model.checkpoint, embeddingHolder(name));
    await store.purge(key);
  }
  yield `${embeddingPrefix(name)}  ${counted(objects, 'object')}, ${(bytes / 1e6).toFixed(1)} MB`;
  yield yes ? 'deleted' : 'nothing is deleted yet: add --yes';
}

/** Whether there is anything of a run of this name. */
export async function isRun(store: ObjectStore, run: string): Promise<boolean> {
  for await (const _ of store.list(runPrefix(run))) return true;
  return false;
}
