import { findCommits, readCommit } from '../../src/checkpoint/commits.ts';
import { checkpointSha256, sha256 } from '../../src/checkpoint/identity.ts';
import { latestKey } from '../../src/checkpoint/keys.ts';
import { readManifest } from '../../src/checkpoint/manifest.ts';
import type { Commit, Manifest } from '../../src/checkpoint/types.ts';
import type { S3ObjectStore } from '../../src/storage/s3.ts';

/**
 * Reads every object of every commit of a run that can be seen now, and throws at the first that is not what was
 * committed, or whose parent is not the commit before, or for the first of a phase one of another phase. Returns the
 * commits in the order of their steps.
 */
export async function verifyCommits(store: S3ObjectStore, run: string): Promise<Commit[]> {
  const commits: Commit[] = [];
  const steps = (await findCommits(store, { run })).sort((a, b) => a.step - b.step);
  for (const at of steps) {
    const commit = await readCommit(store, at);
    const { manifest } = await readManifest(store, commit);
    for (const file of [...manifest.state, ...manifest.sidecars]) {
      const body = await store.get(manifest.prefix + file.path);
      if (body.length !== file.bytes || sha256(body) !== file.sha256)
        throw new Error(`${manifest.prefix}${file.path} is not what was committed`);
    }
    if (checkpointSha256(manifest.state) !== commit.sha256) throw new Error(`step ${at.step} has another hash`);
    const before = commits.filter(({ phase }) => phase === at.phase).at(-1) ?? originOf(commits, manifest);
    if (manifest.parent?.step !== before?.step || manifest.parent?.sha256 !== before?.sha256)
      throw new Error(`step ${at.step} follows ${manifest.parent?.step}, and the commit before is ${before?.step}`);
    commits.push(commit);
  }
  return commits;
}

/** The commit of another phase that the first one of a phase names. */
const originOf = (commits: readonly Commit[], { parent }: Manifest) =>
  commits.find(({ phase, step }) => phase === parent?.phase && step === parent.step);

/** What the hint for people points to. */
export async function latestStep(store: S3ObjectStore, run: string, phase: string): Promise<number> {
  return JSON.parse((await store.get(latestKey({ run, phase }))).toString()).step;
}
