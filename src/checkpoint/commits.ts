import pMap from 'p-map';
import { isRunnerError, type RunnerError } from '../runtime/errors.ts';
import { lookAgain } from '../storage/look-again.ts';
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

/** The phases of a run of which anything lies in the bucket, were it only that they are planned. */
export async function phasesOf(store: ObjectStore, run: string): Promise<string[]> {
  const phases = new Set<string>();
  for await (const { key } of store.list(runPrefix(run))) {
    const [folder = '', file] = key.slice(runPrefix(run).length).split('/');
    if (file === undefined) continue;
    const planned = folder === 'data' ? /^(.+)-settings-[0-9a-f]{16}\.json$/.exec(file)?.[1] : undefined;
    if (planned !== undefined) phases.add(planned);
    else if (folder !== 'data' && folder !== 'export') phases.add(folder);
  }
  return [...phases];
}

/** In the order of revision and step, the last one first. */
export const newestFirst = (found: readonly StepKey[]): StepKey[] =>
  [...found].sort((a, b) => b.revision - a.revision || b.step - a.step);

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
  const steps = (await stepsOf(store, phase, revision)).filter((step) => step >= fromStep && step <= toStep);
  const newest = steps.reverse().map((step) => ({ ...phase, revision, step }));
  return firstReadable(store, newest, (error) => {
    if (!onDamaged) throw error;
    onDamaged(error);
  });
}

/** The first of these of which commit and manifest can be read; damaged ones are told, and passed over. */
export async function firstReadable(
  store: ObjectStore,
  candidates: readonly StepKey[],
  onDamaged: (error: RunnerError) => void = () => {},
): Promise<Commit | null> {
  for (const at of candidates) {
    try {
      const commit = await readCommit(store, at);
      await readManifest(store, commit);
      return commit;
    } catch (error) {
      if (!isRunnerError(error, 'CheckpointDamaged')) throw error;
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
