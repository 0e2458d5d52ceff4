import pMap from 'p-map';
import { isRunnerError, type RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { checkpointDamaged } from './damage.ts';
import { parseCommit, readDocument } from './documents.ts';
import {
  commitKey,
  commitsPrefix,
  type PhaseKey,
  parseCommitKey,
  phasePrefix,
  runPrefix,
  type StepKey,
} from './keys.ts';
import { lookAgain } from './look-again.ts';
import { readManifest } from './manifest.ts';
import type { Commit } from './types.ts';

/** Where the committed checkpoints of a run, of a phase, or of the whole bucket are, by their keys alone. */
export async function findCommits(store: ObjectStore, of: { run?: string; phase?: string } = {}): Promise<StepKey[]> {
  const { run, phase } = of;
  const prefix = run === undefined ? 'runs/' : phase === undefined ? runPrefix(run) : phasePrefix({ run, phase });
  const found: StepKey[] = [];
  for await (const { key } of store.list(prefix)) {
    const at = parseCommitKey(key);
    if (at) found.push(at);
  }
  return found;
}

/** One commit. `CheckpointDamaged` when it is missing, or is not what belongs there, and a second look finds it so too. */
export function readCommit(store: ObjectStore, at: StepKey): Promise<Commit> {
  return lookAgain(() => lookAtCommit(store, at));
}

async function lookAtCommit(store: ObjectStore, at: StepKey): Promise<Commit> {
  const key = commitKey(at);
  const found = await readDocument(store, key);
  if (!found) throw checkpointDamaged(at, key, 'is missing');
  if ('problem' in found) throw checkpointDamaged(at, key, `can't be read: ${found.problem}`);
  const { value: commit, problem } = parseCommit(found.bytes);
  if (problem !== undefined) throw checkpointDamaged(at, key, `can't be read: ${problem}`);
  if (commitKey(commit) !== key) throw checkpointDamaged(at, key, `is the commit of ${commitKey(commit)}`);
  return commit;
}

/** All commits of a revision in the order of their steps. */
export async function listCommits(store: ObjectStore, phase: PhaseKey, revision: number): Promise<Commit[]> {
  const steps = await stepsOf(store, phase, revision);
  return pMap(steps, (step) => readCommit(store, { ...phase, revision, step }), { concurrency: 8 });
}

export interface NewestOptions {
  /** Steps that count, both included. */
  readonly fromStep?: number;
  readonly toStep?: number;
  /**
   * Called for each damaged one, which is then passed over. Without it the newest must verify: a redo of a step that
   * has a damaged commit would meet that commit again.
   */
  readonly onDamaged?: (error: RunnerError) => void;
}

/** The commit of the highest step whose manifest verifies, or null when there is none. */
export async function newestCommit(
  store: ObjectStore,
  phase: PhaseKey,
  revision: number,
  options: NewestOptions = {},
): Promise<Commit | null> {
  const { fromStep = 0, toStep = Number.POSITIVE_INFINITY, onDamaged } = options;
  for (const step of (await stepsOf(store, phase, revision)).reverse()) {
    if (step < fromStep || step > toStep) continue;
    try {
      const commit = await readCommit(store, { ...phase, revision, step });
      await readManifest(store, commit);
      return commit;
    } catch (error) {
      if (!onDamaged || !isRunnerError(error, 'CheckpointDamaged')) throw error;
      onDamaged(error);
    }
  }
  return null;
}

async function stepsOf(store: ObjectStore, phase: PhaseKey, revision: number): Promise<number[]> {
  const steps: number[] = [];
  for await (const { key } of store.list(commitsPrefix({ ...phase, revision }))) {
    const at = parseCommitKey(key);
    if (at) steps.push(at.step);
  }
  return steps.sort((a, b) => a - b);
}
