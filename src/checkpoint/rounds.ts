import type { ObjectStore } from '../storage/object-store.ts';
import { parseRoundKey, phasePrefix, type StepKey } from './keys.ts';

/**
 * Removes what replicas handed in for rounds of a revision that ended at or before a step: their checkpoint is there, and no
 * attempt at them counts any more. Doing it again changes nothing.
 */
export async function removeRounds(store: ObjectStore, { run, phase, revision, step }: StepKey): Promise<number> {
  const keys: string[] = [];
  for await (const { key } of store.list(`${phasePrefix({ run, phase })}r${revision}/rounds/`)) {
    const at = parseRoundKey(key);
    if (at && at.step < step) keys.push(key);
  }
  for (const key of keys) await store.purge(key);
  return keys.length;
}
