import { RunnerError } from '../runtime/errors.ts';
import { isRecord, readJsonText } from '../runtime/json-text.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { objectsIn } from './json-array.ts';
import { tableCompressions, tableStream } from './table-stream.ts';
import { type Row, tail } from './tables.ts';
import type { Table } from './types.ts';

type Reads = Pick<ObjectStore, 'stream' | 'head'>;

/**
 * Captions and boxes of one document are held while its pictures are gone through, since they stand apart from them: 0.3 GB
 * for the 118,000 pictures, 590,000 captions and 860,000 boxes of COCO 2017. Ten times that is refused.
 */
const mostAnnotations = 10_000_000;

/** captions_train2017.json: what its split is called, which names its boxes and its pictures' folder too. */
export const cocoName = /(^|\/)captions_([A-Za-z0-9_-]{1,60})\.json(\.gz|\.zst)?$/i;
export const cocoSplit = (key: string): string => cocoName.exec(key)?.[2] ?? '';

interface Box {
  readonly category: number;
  readonly box: readonly number[];
}

/**
 * COCO's own documents: {"images": [{"id", "file_name", "width", "height"}], "annotations": [{"image_id", "caption"}]}, and
 * where instances_SPLIT.json lies beside them {"annotations": [{"image_id", "category_id", "bbox"}], "categories": [{"id",
 * "name"}]}, whose boxes become regions.
 */
export async function* cocoRows(store: Reads, table: Table): AsyncGenerator<Row> {
  const { key } = table;
  const captions = new Map<number, string[]>();
  let count = 0;
  const tooMany = (of: string) =>
    new RunnerError(
      'DataContract',
      `${of} has more than ${mostAnnotations} annotations, which are joined in memory: write them as .jsonl with file_name, captions and regions`,
    );
  for await (const { image_id: image, caption } of entriesOf(store, table, 'annotations')) {
    if (typeof image !== 'number' || typeof caption !== 'string') continue;
    if (++count > mostAnnotations) throw tooMany(key);
    const own = captions.get(image);
    if (own) own.push(caption);
    else captions.set(image, [caption]);
  }
  if (captions.size === 0)
    throw new RunnerError(
      'DataContract',
      `no annotation of ${key} has an image_id and a caption: it is no captions of COCO`,
    );
  const split = cocoSplit(key);
  const instances = await instancesBeside(store, key);
  const names = new Map<number, string>();
  const boxes = new Map<number, Box[]>();
  if (instances) {
    for await (const { id, name } of entriesOf(store, instances, 'categories'))
      if (typeof id === 'number' && typeof name === 'string') names.set(id, name);
    let found = 0;
    for await (const { image_id: image, category_id: category, bbox: box, iscrowd } of entriesOf(
      store,
      instances,
      'annotations',
    )) {
      // A box of a crowd is of many things at once.
      if (typeof image !== 'number' || typeof category !== 'number' || iscrowd === 1) continue;
      if (!Array.isArray(box) || box.length !== 4 || !box.every((side) => typeof side === 'number')) continue;
      if (++found > mostAnnotations) throw tooMany(instances.key);
      const own = boxes.get(image);
      if (own) own.push({ category, box });
      else boxes.set(image, [{ category, box }]);
    }
  }
  let number = 0;
  for await (const { id, file_name, width, height } of entriesOf(store, table, 'images')) {
    const name = `${tail(key)} image ${++number}`;
    const own = typeof id === 'number' ? boxes.get(id) : undefined;
    const regions = own?.flatMap(({ category, box }) => regionOf(names.get(category), box, width, height) ?? []);
    yield { name, row: { file_name, captions: typeof id === 'number' ? captions.get(id) : undefined, split, regions } };
  }
}

/** A box [left, top, width, height] in pixels as shares; one that ends a little outside is cut, one of no area is none. */
function regionOf(caption: string | undefined, [x, y, w, h]: readonly number[], width: unknown, height: unknown) {
  if (caption === undefined || typeof width !== 'number' || typeof height !== 'number') return null;
  const within = (share: number) => Math.min(1, Math.max(0, share));
  const box = [within(y! / height), within(x! / width), within((y! + h!) / height), within((x! + w!) / width)];
  return box[0]! < box[2]! && box[1]! < box[3]! ? { caption, box } : null;
}

async function instancesBeside(store: Reads, key: string): Promise<Table | null> {
  const beside = key.replace(/captions_([^/]+)$/i, 'instances_$1');
  const plain = beside.replace(/\.(gz|zst)$/i, '');
  for (const name of [beside, plain, ...tableCompressions.map((ending) => `${plain}${ending}`)]) {
    const found = name === key ? null : await store.head(name);
    if (found) return { key: name, bytes: found.bytes, etag: found.etag };
  }
  return null;
}

async function* entriesOf(store: Reads, table: Table, field: string): AsyncGenerator<Record<string, unknown>> {
  let number = 0;
  for await (const bytes of objectsIn(await tableStream(store, table), field)) {
    if (bytes === null)
      throw new RunnerError(
        'DataContract',
        `${table.key} breaks off after ${number} entries of "${field}", or has none: it is no whole JSON of COCO; fetch it again`,
      );
    number++;
    const { value, problem } = readJsonText(bytes, { nan: true });
    if (problem !== undefined || !isRecord(value))
      throw new RunnerError('DataContract', `entry ${number} of "${field}" of ${table.key} can't be read: ${problem}`);
    yield value;
  }
}
