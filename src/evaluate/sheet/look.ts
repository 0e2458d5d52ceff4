import pMap from 'p-map';
import { CorruptExample } from '../../data/example/corrupt-example.ts';
import { decodeInTurn } from '../../data/example/decode-in-turn.ts';
import { readSelected, type SelectedExample } from '../../data/example/read-selected.ts';
import { parseTruth } from '../../data/example/truth.ts';
import type { ExampleMeta } from '../../data/example/types.ts';
import type { ShardStore } from '../../data/index/part-reader.ts';
import type { DataIndex } from '../../data/index/types.ts';
import type { NaflexImage } from '../../data/views/naflex-resize.ts';
import type { FeatureModel } from '../../model/features.ts';
import { outOf } from '../../runtime/count-text.ts';
import { sha256 } from '../../runtime/hash.ts';
import { shownAt } from '../features/view.ts';
import { joinedRows } from '../numbers/matrix.ts';
import { sampled } from '../tasks/sample.ts';
import type { SheetJob } from './job.ts';
import type { MappedPicture } from './maps.ts';
import { longestText, type Sheet } from './sheet.ts';
import { thumbnail } from './thumbnails.ts';

/** Pictures of a data set that are looked at: enough to be mistaken among, and seconds of work. */
const mostLooked = 1000;
export const most = { maps: 8, boxed: 8, boxesOfPicture: 6 };
const chunk = 64;

/** A picture that was looked at. */
export interface Looked {
  readonly id: string;
  readonly meta: Pick<ExampleMeta, 'captions' | 'fields' | 'concept' | 'concepts'>;
  readonly picture: Sheet['pictures'][string];
  readonly boxes: Sheet['boxes'][number]['boxes'];
}

export interface Seen {
  readonly pictures: readonly Looked[];
  /** (n, D) as the model makes it. */
  readonly pooled: Float32Array;
  /** With the number of each in `pictures`. */
  readonly mapped: readonly (MappedPicture & { readonly place: number })[];
}

/** What of a text is kept: whole characters. */
export const short = (text: string): string => [...text].slice(0, longestText).join('');

/** Shows the model an even sample of the pictures; what can't be decoded is passed over. Null when it was stopped. */
export async function lookAt(
  { spec, model }: SheetJob,
  features: FeatureModel,
  { store, index }: { readonly store: ShardStore; readonly index: DataIndex },
  { note, signal }: { note(text: string): void; readonly signal: AbortSignal },
): Promise<Seen | null> {
  const sample = { ...spec.sample, examples: Math.min(mostLooked, spec.sample.examples) };
  const numbers = Array.from({ length: sample.examples }, (_, i) => sampled(sample, i));
  const every = Math.max(1, Math.floor(numbers.length / most.maps));
  const mappedOnes = new Set(numbers.filter((_, i) => i % every === 0).slice(0, most.maps));
  const shown = shownAt(model, spec.views.at(-1)!, spec.resize);
  const pictures: Looked[] = [];
  const pooled: Float32Array[] = [];
  const mapped: (MappedPicture & { readonly place: number })[] = [];
  const waiting: SelectedExample[] = [];
  const flush = async () => {
    const made = await pMap(waiting.splice(0), (one) => prepared(one, shown.prepare), { concurrency: 4 });
    const some = made.filter((one) => one !== null);
    if (some.length === 0) return;
    const found = shown.features(
      features,
      some.map(({ input }) => input),
    );
    pooled.push(found.pooled);
    const length = found.patches!.length / some.length;
    for (const [i, { number, looked, input }] of some.entries()) {
      pictures.push(looked);
      if (!mappedOnes.has(number)) continue;
      const grid = gridOf(input, length / model.vision.width);
      const of = (all: Float32Array) => all.slice(i * length, i * length + grid[0] * grid[1] * model.vision.width);
      const maps = { patches: of(found.patches!), aligned: of(found.aligned!) };
      mapped.push({ id: looked.id, place: pictures.length - 1, grid, ...maps });
    }
    note(`looked at ${outOf(pictures.length, numbers.length, 'picture')} for the sheet`);
  };
  for await (const one of readSelected(store, index, numbers, () => {})) {
    waiting.push(one);
    if (waiting.length === chunk) await flush();
    if (signal.aborted) return null;
  }
  await flush();
  if (signal.aborted) return null;
  return { pictures, pooled: joinedRows(pooled), mapped };
}

async function prepared<T>({ number, picture, meta, said }: SelectedExample, prepare: (image: never) => T) {
  try {
    const image = await decodeInTurn(picture);
    const looked: Looked = {
      id: sha256(picture).slice(0, 16),
      meta,
      picture: await thumbnail(image),
      boxes: boxesIn(said),
    };
    return { number, looked, input: prepare(image as never) };
  } catch (error) {
    if (!(error instanceof CorruptExample)) throw error;
    return null;
  }
}

/** Described parts and objects; none where they can't be read, which evaluators that need them say. */
function boxesIn(said: Uint8Array): Looked['boxes'] {
  try {
    const { regions = [], objects = [] } = parseTruth(said);
    const all = [
      ...regions.map(({ caption, box }) => ({ text: caption, box })),
      ...objects.map(({ category, box }) => ({ text: category, box })),
    ];
    return all.slice(0, most.boxesOfPicture).map(({ text, box }) => ({ text: short(text), box: [...box] }));
  } catch (error) {
    if (!(error instanceof CorruptExample)) throw error;
    return [];
  }
}

/** NaFlex says its shape; squares are square. */
function gridOf(input: unknown, patches: number): readonly [number, number] {
  const { spatialShape } = input as Partial<NaflexImage>;
  const side = Math.round(Math.sqrt(patches));
  return spatialShape ?? [side, side];
}
