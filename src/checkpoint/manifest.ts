import { sha256 } from '../runtime/hash.ts';
import { lookAgain } from '../storage/look-again.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { checkpointDamaged } from './damage.ts';
import { parseManifest, readDocument } from './documents.ts';
import { isAttemptPrefix } from './keys.ts';
import type { CheckpointRef, Manifest } from './types.ts';

export function manifestKey(prefix: string): string {
  return `${prefix}manifest.json`;
}

/**
 * The manifest that a reference names, and its exact bytes. `CheckpointDamaged` when it is missing, has other
 * bytes than were committed, or does not say what the reference says, and a second look finds it so too.
 */
export function readManifest(store: ObjectStore, ref: CheckpointRef): Promise<{ manifest: Manifest; bytes: Buffer }> {
  return lookAgain(() => lookAtManifest(store, ref));
}

async function lookAtManifest(store: ObjectStore, ref: CheckpointRef): Promise<{ manifest: Manifest; bytes: Buffer }> {
  const key = manifestKey(ref.prefix);
  const damaged = (problem: string) => checkpointDamaged(ref, key, problem);
  // References come from workflow inputs and from the bucket: a prefix elsewhere is not followed.
  if (!isAttemptPrefix(ref)) throw damaged('does not lie where a checkpoint of this step belongs');
  const found = await readDocument(store, key);
  if (!found) throw damaged('is missing');
  if ('problem' in found) throw damaged(`can't be read: ${found.problem}`);
  if (sha256(found.bytes) !== ref.manifestSha256) throw damaged('has other bytes than were committed');
  const { value: manifest, problem } = parseManifest(found.bytes);
  if (problem !== undefined) throw damaged(`can't be read: ${problem}`);
  for (const field of ['run', 'phase', 'revision', 'step', 'examples', 'prefix', 'sha256'] as const)
    if (manifest[field] !== ref[field]) throw damaged(`has another ${field} than the commit that names it`);
  return { manifest, bytes: found.bytes };
}
