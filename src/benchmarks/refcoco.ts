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
    instances = 'instances.json',
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
  const used = own.flatMap((one) => ('fault' in one ? [] : one));
  const boxes = await boxesOf(files, instances, new Set(used.map(({ annotation }) => annotation)));
  const names = await namesOf(files, instances, new Set(used.map(({ image }) => image)));
  return {
    classes: null,
    templates: null,
    notes: [],
    async *examples() {
      const byPicture = new Map<number, Example & { readonly pointing: Pointing[] }>();
      for (const one of own) {
        if ('fault' in one) {
          yield one;
          continue;
        }
        const found = pointingOf(one);
        if ('fault' in found) yield found;
        else if (byPicture.has(one.image)) byPicture.get(one.image)!.pointing.push(found);
        else
          byPicture.set(one.image, {
            name: `image ${one.image}`,
            picture: { file: `${pictures}/${names.get(one.image)!}` },
            pointing: [found],
          });
      }
      yield* byPicture.values();
    },
  };

  function pointingOf({ name, annotation, image, expressions }: Reference): Pointing | Fault {
    if (expressions.length === 0) return { name, fault: 'it has no sentence' };
    const box = boxes.get(annotation);
    if (!box) return { name, fault: `annotation ${annotation} has no box in ${instances}` };
    return names.has(image) ? { expressions, box } : { name, fault: `image ${image} is not named in ${instances}` };
  }
}

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
