import { findCommits, readCommit } from '../../src/checkpoint/commits.ts';
import { checkpointSha256 } from '../../src/checkpoint/identity.ts';
import { commitKey, latestKey, type StepKey } from '../../src/checkpoint/keys.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import type { Commit } from '../../src/checkpoint/types.ts';
import { sha256 } from '../../src/runtime/hash.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';

/**
 * Reads every object of every commit of a run that can be seen now, and throws at the first that is not what was
 * committed, or whose parent is there and another than it says. Returns the commits in the order of their steps.
 */
export async function verifyCommits(store: S3ObjectStore, run: string): Promise<Commit[]> {
  const commits: Commit[] = [];
  const steps = (await findCommits(store, { run })).sort((a, b) => a.step - b.step);
  for (const at of steps) {
    try {
      commits.push(await verified(store, at, commits));
    } catch (error) {
      // Retention took it while it was read.
      if (await store.head(commitKey(at))) throw error;
    }
  }
  return commits;
}

async function verified(store: S3ObjectStore, at: StepKey, commits: readonly Commit[]): Promise<Commit> {
  const commit = await readCommit(store, at);
  const { manifest } = await readManifest(store, commit);
  for (const file of [...manifest.state, ...manifest.sidecars]) {
    const body = await store.get(manifest.prefix + file.path);
    if (body.length !== file.bytes || sha256(body) !== file.sha256)
      throw new Error(`${manifest.prefix}${file.path} is not what was committed`);
  }
  if (checkpointSha256(manifest.state) !== commit.sha256) throw new Error(`step ${at.step} has another hash`);
  // Of its parent retention may have left nothing.
  const parent = commits.find(({ phase, step }) => phase === manifest.parent?.phase && step === manifest.parent.step);
  if (parent && parent.sha256 !== manifest.parent?.sha256)
    throw new Error(`step ${at.step} follows another ${manifest.parent?.step} than was committed`);
  if (manifest.parent && manifest.parent.phase === at.phase && manifest.parent.step >= at.step)
    throw new Error(`step ${at.step} follows the later step ${manifest.parent.step}`);
  return commit;
}

/** What the hint for people points to. */
export async function latestStep(store: S3ObjectStore, run: string, phase: string): Promise<number> {
  return JSON.parse((await store.get(latestKey({ run, phase }))).toString()).step;
}
