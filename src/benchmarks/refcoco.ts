import type { Box } from '../metrics/boxes.ts';
import { RunnerError } from '../runtime/errors.ts';
import { isRecord } from '../runtime/json-text.ts';
import { printable } from '../runtime/printable.ts';
import type { Benchmark, Example, Fault, Pointing } from './benchmark.ts';
import { type Files, isSafe } from './files.ts';
import { boxIn, entries } from './json-entries.ts';
import { readPickle } from './pickle.ts';
import type { Plain } from './pickle-values.ts';

/** What a referring data set says of one box. */
export interface Reference {
  readonly name: string;
  readonly annotation: number;
  readonly image: number;
  readonly split: string;
  readonly expressions: readonly string[];
}

/** refs(unc).p has 17 MB; a number a byte in memory, some ten times that. */
const largestPickle = 128 * 1024 * 1024;

/** The references of a `refs(SPLITBY).p` of lichengunc/refer, in their order. Errors: DataContract. */
export async function readReferences(files: Files, name: string): Promise<(Reference | Fault)[]> {
  const read = readPickle(await files.read(name, largestPickle));
  if ('fault' in read) throw new RunnerError('DataContract', `${files.where}/${name}: ${read.fault}`);
  if (!Array.isArray(read.value))
    throw new RunnerError('DataContract', `${files.where}/${name} holds no list of references`);
  return read.value.map((one, i) => referenceOf(one, i));
}

function referenceOf(one: Plain, i: number): Reference | Fault {
  const row = isRecord(one) ? (one as Record<string, Plain>) : {};
  const { ref_id, ann_id, image_id, split, sentences } = row;
  const name = `ref ${typeof ref_id === 'number' ? ref_id : `at ${i}`}`;
  if (typeof ann_id !== 'number' || typeof image_id !== 'number' || typeof split !== 'string')
    return { name, fault: 'ann_id, image_id or split is missing' };
  const expressions = (Array.isArray(sentences) ? sentences : []).flatMap((sentence) => {
    const said = isRecord(sentence)
      ? ((sentence as Record<string, Plain>).sent ?? (sentence as Record<string, Plain>).raw)
      : null;
    return typeof said === 'string' && said.trim() !== '' ? [said] : [];
  });
  return { name, annotation: ann_id, image: image_id, split, expressions };
}

/**
 * RefCOCO, RefCOCO+ and RefCOCOg: the pictures of one split, each with its references and their boxes of `instances.json`. Each
 * sentence is one expression, and counts. Of instances.json (100 MB) one annotation is held at a time, and of the references' ones the boxes.
 */
export async function openRefCoco(
  files: Files,
  {
    references,
    instances = besides(references),
    split,
    pictures,
  }: { readonly references: string; readonly instances?: string; readonly split: string; readonly pictures: string },
): Promise<Benchmark> {
  const all = await readReferences(files, references);
  const own = all.filter((one) => 'fault' in one || one.split === split);
  if (own.every((one) => 'fault' in one)) {
    const splits = [...new Set(all.flatMap((one) => ('fault' in one ? [] : one.split)))].sort().map(printable);
    throw new RunnerError(
      'DataContract',
      `${files.where}/${references} has no split "${printable(split)}"; it has: ${splits.slice(0, 20).join(', ')}`,
    );
  }
  const pictured = await boxesIn(files, instances, own);
  return benchmarkOf(async function* () {
    const byPicture = new Map<number, Pictured>();
    yield* gather(own, { ...pictured, instances, pictures }, byPicture);
    yield* byPicture.values();
  });
}

const benchmarkOf = (examples: Benchmark['examples']): Benchmark => ({
  classes: null,
  templates: null,
  notes: [],
  examples,
});

type Pictured = Example & { readonly pointing: Pointing[] };

interface Known {
  readonly boxes: ReadonlyMap<number, Box>;
  readonly names: ReadonlyMap<number, string>;
  readonly instances: string;
  readonly pictures: string;
}

async function boxesIn(files: Files, instances: string, references: readonly (Reference | Fault)[]) {
  const used = references.flatMap((one) => ('fault' in one ? [] : one));
  return {
    boxes: await boxesOf(files, instances, new Set(used.map(({ annotation }) => annotation))),
    names: await namesOf(files, instances, new Set(used.map(({ image }) => image))),
  };
}

/** Puts references to their pictures, and gives those that can't be used. */
function* gather(
  references: readonly (Reference | Fault)[],
  { boxes, names, instances, pictures }: Known,
  byPicture: Map<number, Pictured>,
): Generator<Fault> {
  for (const one of references) {
    if ('fault' in one) {
      yield one;
      continue;
    }
    const { name, annotation, image, expressions } = one;
    const [box, file] = [boxes.get(annotation), names.get(image)];
    if (expressions.length === 0) yield { name, fault: 'it has no sentence' };
    else if (!box) yield { name, fault: `annotation ${annotation} has no box in ${instances}` };
    else if (file === undefined) yield { name, fault: `image ${image} is not named in ${instances}` };
    else {
      const at = { name: `image ${image}`, picture: { file: `${pictures}/${file}` }, pointing: [] };
      const own: Pictured = byPicture.get(image) ?? at;
      byPicture.set(image, own);
      own.pointing.push({ expressions, box });
    }
  }
}

/** The sets of lichengunc/refer that share COCO's pictures, as they lie in its `data`. */
const shared = ['refcoco/refs(unc).p', 'refcoco+/refs(unc).p', 'refcocog/refs(umd).p'];

/**
 * What may be trained on of RefCOCO, + and g together: references of `train` whose picture none of them holds out, each picture
 * once (big_vision's refcocox_combined). References and boxes of all three are held, some 1 GB.
 */
export async function openRefCocoTraining(files: Files, pictures: string): Promise<Benchmark> {
  const sets: { readonly instances: string; readonly all: readonly (Reference | Fault)[] }[] = [];
  for (const name of shared) sets.push({ instances: besides(name), all: await readReferences(files, name) });
  const kept = new Set(combinedTraining(sets.map(({ all }) => all)));
  return benchmarkOf(async function* () {
    const byPicture = new Map<number, Pictured>();
    for (const { instances, all } of sets) {
      const own = all.filter((one) => 'fault' in one || kept.has(one));
      yield* gather(own, { ...(await boxesIn(files, instances, own)), instances, pictures }, byPicture);
    }
    yield* byPicture.values();
  });
}

/** `instances.json` lies in the folder of the references. */
export const besides = (references: string): string =>
  `${references.slice(0, references.lastIndexOf('/') + 1)}instances.json`;

async function boxesOf(files: Files, name: string, wanted: ReadonlySet<number>): Promise<Map<number, Box>> {
  const boxes = new Map<number, Box>();
  for await (const { id, bbox } of entries(files, name, 'annotations')) {
    if (typeof id !== 'number' || !wanted.has(id)) continue;
    const box = boxIn(bbox);
    if (box) boxes.set(id, box);
  }
  return boxes;
}

async function namesOf(files: Files, name: string, wanted: ReadonlySet<number>): Promise<Map<number, string>> {
  const names = new Map<number, string>();
  for await (const { id, file_name } of entries(files, name, 'images'))
    if (typeof id === 'number' && wanted.has(id) && typeof file_name === 'string' && isSafe(file_name))
      names.set(id, file_name);
  return names;
}

/**
 * What may be trained on of several data sets together: references of `train` whose picture is in no other split of any of them
 * (big_vision's refcocox_combined), since RefCOCO, + and g share COCO's pictures.
 */
export function combinedTraining(sets: readonly (readonly (Reference | Fault)[])[]): Reference[] {
  const all = sets.flat().flatMap((one) => ('fault' in one ? [] : one));
  const heldOut = new Set(all.flatMap(({ split, image }) => (split === 'train' ? [] : image)));
  return all.filter(
    ({ split, image, expressions }) => split === 'train' && expressions.length > 0 && !heldOut.has(image),
  );
}
