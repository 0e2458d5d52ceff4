import pMap from 'p-map';
import { readEnd } from '../../checkpoint/ends.ts';
import { commitKey, metricsPrefix, type PhaseKey } from '../../checkpoint/keys.ts';
import type { Used } from '../../costs/used.ts';
import { counted } from '../../runtime/count-text.ts';
import type { ObjectInfo, ObjectStore } from '../../storage/object-store.ts';
import { curveOf, type Piece } from '../../telemetry/curve.ts';
import { readJsonLines } from '../../telemetry/json-lines.ts';
import { parsePieceName } from '../../telemetry/series.ts';
import { brief, byteText } from '../numbers.ts';
import type { Fact, PhaseLink, PhaseReport } from '../types.ts';
import { curvesOf } from './curves.ts';
import type { TrainedData } from './data-read.ts';
import { eventsOf, spansOf } from './events.ts';
import { readHistory } from './history.ts';
import { type Kept, readKept } from './kept.ts';

export interface PhaseRead {
  readonly report: PhaseReport;
  readonly codeVersions: readonly string[];
  /** The last step that counts; null where nothing tells. */
  readonly reached: number | null;
  /** Milliseconds that it had a device for, as its workflow tells; else those between its first records and its last. */
  readonly deviceMs: number;
  /** What it used, its evaluation too; null where nothing tells. */
  readonly used: Used | null;
  /** Of all checkpoints that it made, as large as the last that is there. */
  readonly uploaded: number;
  /** What tells whether two phases began alike: where, and from scratch with which model. */
  readonly start: string;
  /** Seen at its end; null where nothing tells. */
  readonly examples: number | null;
}

export interface PhaseContext {
  readonly parent: string | null;
  readonly links: readonly PhaseLink[];
  readonly from: string;
  readonly objects: readonly ObjectInfo[];
  /** By fingerprint. */
  readonly data: ReadonlyMap<string, TrainedData>;
  readonly problems: string[];
}

/** A piece has the records of up to a minute of steps; what is larger was not written by a trainer. */
const largestPiece = 64 * 2 ** 20;

export async function readPhase(
  store: ObjectStore,
  at: PhaseKey,
  { parent, links, from, objects, data, problems }: PhaseContext,
): Promise<PhaseRead> {
  const end = await readEnd(store, at);
  const kept = await readKept(store, at, problems);
  const history = await readHistory(store, at, problems);
  const all = await readPieces(store, at, objects, problems);
  // A phase may have ended in an older revision than a person had gone on with.
  const counted = all.filter(({ revision }) => revision <= (end?.revision ?? Number.POSITIVE_INFINITY));
  const curve = curveOf(counted);
  const records = curve.flatMap((piece) => piece.records);
  const ends = kept.find(({ commit }) => end !== null && commitKey(commit) === commitKey(end)) ?? kept.at(-1);
  const spans = spansOf(all);
  const last = lastStep(curve, ends);
  // Of every tenth step or hundredth there is a record in long phases.
  const first = records[0] && Math.max(0, records[0].step - 1);
  const deviceMs = history.deviceMs ?? spans.reduce((sum, [begin, end]) => sum + end - begin, 0);
  const made = all.filter(({ records }) => records.length > 0).length;
  const each = ends ? bytesOf(ends) : 0;
  const spentFacts: Fact[] = [
    [history.deviceMs === null ? 'training time' : 'device time', `${(deviceMs / 3_600_000).toFixed(2)} h`],
    ['checkpoints', each > 0 ? `${made} of ${byteText(each)}` : String(made)],
    ...dataFacts(ends, first, last, data),
  ];
  return {
    report: {
      name: at.phase,
      parent,
      links,
      steps: first === undefined || last === undefined ? null : [first, last],
      facts: [...factsOf(from, ends, last), ...spentFacts],
      ended: end !== null,
      spans,
      checkpoints: all.flatMap(({ step, records }) =>
        records.length > 0 ? [{ step, time: records.at(-1)!.time }] : [],
      ),
      events: eventsOf(all, kept, history.events),
      curves: curvesOf(records),
    },
    reached: last ?? null,
    deviceMs,
    used: history.used,
    uploaded: made * each,
    start: JSON.stringify([from, parent === null ? (ends?.settings?.model ?? null) : null]),
    examples: ends?.commit.examples ?? null,
    codeVersions: kept.map(({ manifest }) => manifest.codeVersion),
  };
}

/** Not every step has a record, so the checkpoint at the end may be further; one from before a phase went back is not. */
function lastStep(curve: readonly Piece[], ends: Kept | undefined): number | undefined {
  const piece = curve.at(-1);
  const recorded = piece?.records.at(-1)?.step;
  const counts = ends && (!piece || ends.commit.revision >= piece.revision);
  return counts ? Math.max(ends.commit.step, recorded ?? 0) : recorded;
}

/** What its steps needed of the shards, each example once for each time that it was looked at: a cache on the disk fetches less. */
function dataFacts(
  ends: Kept | undefined,
  first: number | undefined,
  last: number | undefined,
  data: PhaseContext['data'],
): Fact[] {
  const own = ends && data.get(ends.manifest.dataFingerprint);
  const batches = ends?.settings?.batches;
  if (!own || !batches || own.examples === 0 || first === undefined || last === undefined) return [];
  const seen = (last - first) * (batches.candidates ?? batches.batch);
  const bytes = Math.round((seen * own.bytes) / own.examples);
  return [['bytes read', `about ${byteText(bytes)}, ${brief(seen / own.examples)} times ${byteText(own.bytes)}`]];
}

const bytesOf = ({ manifest: { state, sidecars } }: Kept) =>
  [...state, ...sidecars].reduce((sum, { bytes }) => sum + bytes, 0);

function factsOf(from: string, ends: Kept | undefined, last: number | undefined): Fact[] {
  const { settings, manifest, commit } = ends ?? {};
  const objectives = settings ? Object.keys(settings.objectives).join(', ') : undefined;
  const { model } = settings ?? {};
  const tower = ({ width, depth }: { width: number; depth: number }) => `${depth} x ${width}`;
  const said: [string, string | number | undefined][] = [
    ['from', from],
    ['to step', last],
    ['examples', commit?.examples],
    ['batch', settings?.batches.batch],
    ['objectives', objectives],
    ['learning rate', settings?.optimizer.learningRate],
    ['image tower', model && `${tower(model.vision)}, patch ${model.vision.patch}, ${model.vision.resolution} px`],
    ['text tower', model && `${tower(model.text)}, ${model.text.length} tokens of ${model.text.vocabulary}`],
    ['precision', manifest?.precision],
    ['not used', manifest && counted(manifest.skipped.length, 'member')],
    ['sha256', commit?.sha256.slice(0, 12)],
  ];
  return said.flatMap(([name, value]): Fact[] => (value === undefined ? [] : [[name, String(value)]]));
}

/** All pieces in the order of revision and step, those too that were given up. */
async function readPieces(
  store: ObjectStore,
  at: PhaseKey,
  objects: readonly ObjectInfo[],
  problems: string[],
): Promise<Piece[]> {
  const prefix = metricsPrefix(at);
  const own = objects.filter(({ key }) => key.startsWith(prefix) && key.endsWith('.jsonl'));
  const pieces = await pMap(
    own,
    async ({ key, bytes }): Promise<Piece | null> => {
      const name = key.slice(prefix.length, -'.jsonl'.length);
      const place = parsePieceName(name);
      if (!place || bytes > largestPiece) {
        problems.push(
          `${key}: ${place ? `it has ${bytes} bytes, and at most ${largestPiece} are read` : 'its name is none of a piece of figures'}`,
        );
        return null;
      }
      return { ...place, name, records: readJsonLines(await store.get(key)) };
    },
    { concurrency: 8 },
  );
  return pieces.flatMap((piece) => piece ?? []).sort((a, b) => a.revision - b.revision || a.step - b.step);
}
