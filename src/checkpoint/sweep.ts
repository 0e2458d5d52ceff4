import type { ObjectStore } from '../storage/object-store.ts';
import { type BaseKey, baseKey, parseBaseKey, stateKey } from './base-files.ts';
import { findCommits, readCommit } from './commits.ts';
import { isCheckpointDamaged } from './damage.ts';
import {
  commitKey,
  isMarkKey,
  parseAttemptKey,
  parseAttemptPrefix,
  parseCommitKey,
  parsePinKey,
  parseRoundKey,
  parseScoreKey,
  parseWorkKey,
  runPrefix,
} from './keys.ts';
import { readManifest } from './manifest.ts';
import { markBaseDoomed, markDoomed, markMs } from './marks.ts';
import { pinsOf } from './pins.ts';
import { deletePrefix } from './retention.ts';
import { silentMs } from './work.ts';

export interface Swept {
  /** Prefixes of attempts that no commit names. */
  readonly prefixes: readonly string[];
  readonly uploads: number;
  readonly pins: number;
}

/**
 * Removes what attempts that ended left behind in a run: objects that no commit names, uploads in parts, pins whose
 * time is over, what was handed in for rounds, old versions of deleted objects. An attempt whose step another one has committed can't commit any
 * more, so what it left goes at once. Of the others only what is older than `graceMs` goes: younger ones may be at it.
 */
export async function sweepRun(
  store: ObjectStore,
  run: string,
  options: { readonly phase?: string; readonly graceMs: number },
): Promise<Swept> {
  const within = options.phase === undefined ? runPrefix(run) : `${runPrefix(run)}${options.phase}/`;
  const old = Date.now() - options.graceMs;
  const attempts = new Map<string, { taken: string; newest: number }>();
  const stalePins: string[] = [];
  const oldMarks: string[] = [];
  const signs: string[] = [];
  const rounds: string[] = [];
  const bases: BaseKey[] = [];
  let uploads = 0;
  // Objects before commits: what is committed between the two is then seen as committed.
  for await (const { key, modified } of store.list(within)) {
    const at = parseAttemptKey(key);
    if (at) {
      const newest = Math.max(attempts.get(at.prefix)?.newest ?? 0, modified.getTime());
      attempts.set(at.prefix, { taken: commitKey(at), newest });
    } else if (parsePinKey(key)) stalePins.push(key);
    else if (parseRoundKey(key) && modified.getTime() <= old) rounds.push(key);
    else if (parseBaseKey(key) && modified.getTime() <= old) bases.push(parseBaseKey(key)!);
    else if (parseWorkKey(key) && modified.getTime() < Math.max(old, Date.now() - silentMs)) signs.push(key);
    else if (isMarkKey(key) && modified.getTime() < Date.now() - markMs) oldMarks.push(key);
  }
  const unfinished = [];
  for await (const upload of store.listUploads(within)) unfinished.push(upload);
  const commits = new Set<string>();
  const named = new Set<string>();
  for (const at of await findCommits(store, {
    run,
    ...(options.phase === undefined ? {} : { phase: options.phase }),
  })) {
    commits.add(commitKey(at));
    const commit = await readCommit(store, at).catch((error) => {
      if (isCheckpointDamaged(error)) return null;
      throw error;
    });
    // Which attempt a damaged commit named is not known: all at its step stay.
    if (commit) named.add(commit.prefix);
    else for (const [prefix, { taken }] of attempts) if (taken === commitKey(at)) named.add(prefix);
  }
  const prefixes: string[] = [];
  for (const [prefix, { taken, newest }] of attempts) {
    if (named.has(prefix) || (!commits.has(taken) && newest > old)) continue;
    if (await sweepAttempt(store, prefix)) prefixes.push(prefix);
  }
  for (const base of bases) await sweepBase(store, base);
  for (const upload of unfinished) {
    const at = parseAttemptKey(upload.key);
    const over = at ? commits.has(commitKey(at)) && !named.has(at.prefix) : false;
    if (!over && upload.begun.getTime() > old) continue;
    await store.abortUpload(upload);
    uploads++;
  }
  const phases = new Set(stalePins.map((key) => parsePinKey(key)!.phase));
  let pins = 0;
  for (const phase of phases) {
    const holding = new Set((await pinsOf(store, { run, phase })).map(({ who, ...at }) => `${commitKey(at)} ${who}`));
    for (const key of stalePins) {
      const at = parsePinKey(key)!;
      if (at.phase !== phase || holding.has(`${commitKey(at)} ${at.who}`)) continue;
      await store.purge(key);
      pins++;
    }
  }
  for (const key of [...signs, ...oldMarks, ...rounds]) await store.purge(key);
  await sweepVersions(store, within);
  return { prefixes, uploads, pins };
}

/** False when the attempt came to its commit after all, while this one looked. */
async function sweepAttempt(store: ObjectStore, prefix: string): Promise<boolean> {
  const mark = await markDoomed(store, prefix);
  const gone = !(await isNamed(store, prefix)) && (await mark.decide());
  if (gone) await deletePrefix(store, prefix);
  await mark.lift();
  return gone;
}

/** Takes away what checkpoints of a revision had in common, when none of them is left; false where one is. */
export async function sweepBase(store: ObjectStore, base: BaseKey): Promise<boolean> {
  if (await namesBase(store, base)) return false;
  const mark = await markBaseDoomed(store, base);
  const gone = !(await namesBase(store, base)) && (await mark.decide());
  if (gone) await store.purge(baseKey(base));
  await mark.lift();
  return gone;
}

/** Whether a commit names it, or may do so and can't be read. */
async function namesBase(store: ObjectStore, base: BaseKey): Promise<boolean> {
  const { run, phase, revision } = base;
  for (const at of await findCommits(store, { run, phase })) {
    if (at.revision !== revision) continue;
    try {
      const { manifest } = await readManifest(store, await readCommit(store, at));
      if (manifest.state.some((file) => stateKey(manifest, file) === baseKey(base))) return true;
    } catch (error) {
      if (!isCheckpointDamaged(error)) throw error;
      // Deleted meanwhile, it names nothing.
      if (await store.head(commitKey(at))) return true;
    }
  }
  return false;
}

/** Whether the commit of an attempt's step names it, or may do so and can't be read. */
async function isNamed(store: ObjectStore, prefix: string): Promise<boolean> {
  const at = parseAttemptPrefix(prefix)!;
  // Asked twice: on one wrong answer a checkpoint would be deleted.
  if (!((await store.head(commitKey(at))) ?? (await store.head(commitKey(at))))) return false;
  const commit = await readCommit(store, at).catch((error) => {
    if (isCheckpointDamaged(error)) return null;
    throw error;
  });
  return commit === null || commit.prefix === prefix;
}

/** On a versioned bucket: what deleted objects of ours left. */
async function sweepVersions(store: ObjectStore, within: string): Promise<void> {
  const attempts = [parseWorkKey, parseAttemptKey, parseCommitKey, parseBaseKey];
  const ours = [...attempts, parsePinKey, parseRoundKey, parseScoreKey, isMarkKey];
  for await (const key of store.listVersioned(within))
    if (ours.some((parse) => parse(key)) && !(await store.head(key))) await store.purge(key);
}

/**
 * Everything of a run that nothing refers to: objects and deleted versions of them, and uploads in parts. After a
 * sweep without grace there is none, unless someone else writes there.
 */
export async function findUnreferenced(store: ObjectStore, run: string): Promise<string[]> {
  const referenced = new Set<string>();
  for (const at of await findCommits(store, { run })) {
    const { manifest } = await readManifest(store, await readCommit(store, at));
    for (const file of [...manifest.state, ...manifest.sidecars]) referenced.add(stateKey(manifest, file));
    for (const path of ['manifest.json', 'metrics.json']) referenced.add(manifest.prefix + path);
  }
  const found: string[] = [];
  for await (const { key } of store.list(runPrefix(run)))
    if (!referenced.has(key) && !isKnown(key, run)) found.push(key);
  for await (const key of store.listVersioned(runPrefix(run)))
    if (!(await store.head(key))) found.push(`${key}, a version`);
  for await (const { key, id } of store.listUploads(runPrefix(run))) found.push(`${key}, upload ${id}`);
  return found;
}

/** What lies beside the checkpoints: commits, hints, pins, marks of deletions, stored scores, choices, the run's documents, figures and exports. */
function isKnown(key: string, run: string): boolean {
  if (parseWorkKey(key) || parseCommitKey(key) || parsePinKey(key) || parseScoreKey(key) || isMarkKey(key)) return true;
  const rest = key.slice(runPrefix(run).length);
  return /^((run|history)\.json|report\.html|data\/[^/]+\.json|export\/.+|[^/]+\/((latest|end|best|early-stopping|history|cpu)\.json|(evaluation|sheet|pace|xla|precision)-[^/]+\.json|metrics\/.+))$/.test(
    rest,
  );
}
