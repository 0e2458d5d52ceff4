import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readEnd } from '../checkpoint/ends.ts';
import { metricsPrefix, namePattern, runPrefix } from '../checkpoint/keys.ts';
import { RunnerError } from '../runtime/errors.ts';
import { makeFolder } from '../runtime/make-folder.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { curveOf, type Piece } from '../telemetry/curve.ts';
import { eventFile } from '../telemetry/event-file.ts';
import { jsonLines, readJsonLines } from '../telemetry/json-lines.ts';
import { parsePieceName, roundsName } from '../telemetry/series.ts';
import { fetchEvaluations } from './fetch-evaluations.ts';

/**
 * Fetches the figures of a run: `folder/<phase>/events.out.tfevents.*` for TensorBoard, `folder/<phase>.jsonl` for
 * everything else, each step once; of a phase in rounds `folder/<phase>-rounds.jsonl` too. What is there already is written anew. Returns the number of pieces.
 */
export async function fetchMetrics(store: ObjectStore, run: string, folder: string): Promise<number> {
  const prefix = runPrefix(run);
  const phases = new Map<string, string[]>();
  for await (const { key } of store.list(prefix)) {
    const phase = key.slice(prefix.length).split('/', 1)[0]!;
    if (!namePattern.test(phase) || !namePattern.test(basename(key))) continue;
    if (key.startsWith(metricsPrefix({ run, phase }))) phases.set(phase, [...(phases.get(phase) ?? []), key]);
  }
  if (phases.size === 0)
    throw new RunnerError(
      'ObjectMissing',
      `bucket ${store.bucket} has no figures of ${run}; a run writes the first ones with its first checkpoint`,
    );
  makeFolder(folder, 'name');
  let count = 0;
  const evaluations = await fetchEvaluations(store, run);
  for (const [phase, keys] of phases) {
    // A phase may have ended in an older revision than a person had gone on with.
    const end = await readEnd(store, { run, phase });
    count += await fetchPhase(store, keys, end?.revision ?? Number.POSITIVE_INFINITY, join(folder, phase));
    const records = evaluations.get(phase) ?? [];
    if (records.length === 0) continue;
    // After those of training, and a curve of their own.
    await writeFile(join(folder, phase, eventFile.fileName('z-evaluations')), eventFile.encode(records));
    await writeFile(join(folder, `${phase}-evaluations.jsonl`), jsonLines.encode(records));
  }
  return count;
}

async function fetchPhase(
  store: ObjectStore,
  keys: readonly string[],
  revision: number,
  into: string,
): Promise<number> {
  await mkdir(into, { recursive: true });
  const pieces: Piece[] = [];
  const rounds: Piece[] = [];
  for (const key of keys) {
    const name = basename(key);
    const ofRound = name.startsWith(roundsName);
    const at = parsePieceName(ofRound ? name.slice(roundsName.length) : name);
    if (at && name.endsWith('.jsonl')) {
      const records = readJsonLines(await store.get(key));
      (ofRound ? rounds : pieces).push({ ...at, name: basename(name, '.jsonl'), records });
    } else if (!name.startsWith(eventFile.fileName(''))) await writeFile(join(into, name), await store.get(key));
  }
  const counted = (all: readonly Piece[]) => curveOf(all.filter((piece) => piece.revision <= revision));
  const [curve, ofRounds] = [counted(pieces), counted(rounds)];
  // TensorBoard would show what no longer counts.
  for (const name of await readdir(into))
    if (name.startsWith(eventFile.fileName(''))) await rm(join(into, name), { force: true });
  for (const { name, records } of [...curve, ...ofRounds])
    await writeFile(join(into, eventFile.fileName(name)), eventFile.encode(records));
  const lines = (of: readonly Piece[]) => Buffer.concat(of.map(({ records }) => jsonLines.encode(records)));
  if (curve.length > 0) await writeFile(`${into}.jsonl`, lines(curve));
  if (ofRounds.length > 0) await writeFile(`${into}-rounds.jsonl`, lines(ofRounds));
  return keys.length;
}
