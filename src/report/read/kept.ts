import { findCommits, readCommit } from '../../checkpoint/commits.ts';
import { type PhaseKey, runPrefix } from '../../checkpoint/keys.ts';
import { readManifest } from '../../checkpoint/manifest.ts';
import type { Commit, Manifest } from '../../checkpoint/types.ts';
import type { PhaseSettings } from '../../recipe/phase-settings.ts';
import { isRunnerError } from '../../runtime/errors.ts';
import type { ObjectStore } from '../../storage/object-store.ts';

/** What a checkpoint that is still there says of itself. */
export interface Kept {
  readonly commit: Commit;
  readonly manifest: Manifest;
  /** With which it was trained; null where its document is gone. */
  readonly settings: PhaseSettings | null;
}

/** Of checkpoints that are kept by hand there may be many; the newest say enough. */
const mostKept = 50;

/** Checkpoints that were not deleted since, in the order of revision and step. */
export async function readKept(store: ObjectStore, at: PhaseKey, problems: string[]): Promise<Kept[]> {
  const found = (await findCommits(store, at))
    .sort((a, b) => a.revision - b.revision || a.step - b.step)
    .slice(-mostKept);
  const kept: Kept[] = [];
  // A vocabulary can be large, and most checkpoints have the same one.
  const known = new Map<string | undefined, PhaseSettings | null>();
  for (const one of found) {
    try {
      const commit = await readCommit(store, one);
      const { manifest } = await readManifest(store, commit);
      const hash = manifest.settingsSha256;
      if (!known.has(hash)) known.set(hash, await readSettings(store, manifest));
      kept.push({ commit, manifest, settings: known.get(hash) ?? null });
    } catch (error) {
      if (!isRunnerError(error, 'CheckpointDamaged')) throw error;
      problems.push(error.message);
    }
  }
  return kept;
}

async function readSettings(
  store: ObjectStore,
  { run, phase, settingsSha256 }: Manifest,
): Promise<PhaseSettings | null> {
  if (settingsSha256 === undefined) return null;
  try {
    const key = `${runPrefix(run)}data/${phase}-settings-${settingsSha256.slice(0, 16)}.json`;
    const settings = JSON.parse((await store.get(key)).toString()) as Partial<PhaseSettings> | null;
    return settings?.model?.vision &&
      settings.model.text &&
      settings.batches &&
      settings.objectives &&
      settings.optimizer
      ? (settings as PhaseSettings)
      : null;
  } catch (error) {
    if (error instanceof SyntaxError || isRunnerError(error, 'ObjectMissing') || isRunnerError(error, 'DataContract'))
      return null;
    throw error;
  }
}
