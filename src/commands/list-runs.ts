import { findCommits, readCommit } from '../checkpoint/commits.ts';
import { nameOf } from '../checkpoint/damage.ts';
import { ordered, readEnd } from '../checkpoint/ends.ts';
import { commitKey, type PhaseKey, parseScoreKey, runPrefix, type StepKey } from '../checkpoint/keys.ts';
import { pinsOf } from '../checkpoint/pins.ts';
import { embeddingNameOf } from '../embeddings/keys.ts';
import { findEmbeddings } from '../embeddings/manifest.ts';
import { counted } from '../runtime/count-text.ts';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';

/** What lies in the bucket, a line each: the checkpoint that stands for every phase and embeddings, or all of one run and stored scores. */
export async function* listRuns(store: ObjectStore, run?: string): AsyncIterable<string> {
  const found = await findCommits(store, run === undefined ? {} : { run });
  const embeddings = run === undefined ? await listEmbeddings(store) : [];
  if (found.length === 0 && embeddings.length === 0)
    throw new RunnerError(
      'ObjectMissing',
      `bucket ${store.bucket} holds no checkpoint${run === undefined ? '' : ` of ${run}`}; a run writes its first one after checkpoint.every steps`,
    );
  const pins = new Map<string, string[]>();
  for (const { run, phase } of uniquePhases(found))
    for (const pin of await pinsOf(store, { run, phase }))
      pins.set(commitKey(pin), [...(pins.get(commitKey(pin)) ?? []), pin.who]);
  for (const phase of uniquePhases(found)) {
    const end = await readEnd(store, phase);
    const own = found.filter((at) => at.run === phase.run && at.phase === phase.phase);
    const commits = ordered(own, end);
    for (const at of run === undefined ? commits.slice(0, 1) : commits) {
      const held = pins.get(commitKey(at));
      const more = run === undefined ? `  ${commits.length} in all` : '';
      yield `${nameOf(at).padEnd(40)}  ${await describe(store, at)}${more}${end && commitKey(end) === commitKey(at) ? '  end of the phase' : ''}${held ? `  pinned by ${held.join(', ')}` : ''}`;
    }
  }
  if (run !== undefined) yield* listScores(store, run);
  yield* embeddings;
}

/** A line for each name of embeddings: what they are, or that they are not whole yet. */
async function listEmbeddings(store: ObjectStore): Promise<string[]> {
  const names = new Set<string>();
  for await (const { key } of store.list('embeddings/')) names.add(embeddingNameOf(key));
  const lines: string[] = [];
  for (const name of [...names].sort())
    lines.push(`${`embeddings/${name}`.padEnd(40)}  ${await embeddingLine(store, name)}`);
  return lines;
}

async function embeddingLine(store: ObjectStore, name: string): Promise<string> {
  try {
    const found = await findEmbeddings(store, name);
    if (!found) return 'begun';
    const { examples, data, model, bytes } = found;
    return `${counted(examples, 'example')} of ${data.prefix} by ${model.name}, ${(bytes / 1e6).toFixed(1)} MB`;
  } catch (error) {
    if (isRunnerError(error, 'DataContract')) return 'damaged';
    throw error;
  }
}

/** A line for each scoring of a run: what a teacher made of the training data. */
async function* listScores(store: ObjectStore, run: string): AsyncIterable<string> {
  const found = new Map<string, { files: number; bytes: number }>();
  for await (const { key, bytes } of store.list(runPrefix(run))) {
    const at = parseScoreKey(key);
    if (!at) continue;
    const name = `${run}/${at.phase} scores ${at.scoring}`;
    const { files, bytes: before } = found.get(name) ?? { files: 0, bytes: 0 };
    found.set(name, { files: files + 1, bytes: before + bytes });
  }
  for (const [name, { files, bytes }] of found)
    yield `${name.padEnd(40)}  ${counted(files, 'file')}, ${(bytes / 1e6).toFixed(1)} MB`;
}

function uniquePhases(found: readonly StepKey[]): PhaseKey[] {
  return [...new Map(found.map(({ run, phase }) => [`${run}/${phase}`, { run, phase }])).values()];
}

async function describe(store: ObjectStore, at: StepKey): Promise<string> {
  try {
    const { committed, sha256, metrics } = await readCommit(store, at);
    // What was imported stands at step 0: nobody has trained it here.
    const loss = at.step === 0 ? 'imported  ' : `loss ${metrics.loss.toFixed(3)}`;
    return `${committed.slice(0, 19)}Z  ${loss}  sha256 ${sha256.slice(0, 12)}...`;
  } catch (error) {
    if (isRunnerError(error, 'CheckpointDamaged')) return 'damaged';
    throw error;
  }
}
