import { isImage, KindsSeen, splitName } from '../data/index/members.ts';
import { RunnerError } from '../runtime/errors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { cocoName } from './coco.ts';
import type { Layout, PackSettings } from './settings.ts';
import { plainName, tableCompressions } from './table-stream.ts';
import type { Table } from './types.ts';

/** What lies below a prefix, as its names say. */
export interface Survey {
  readonly pictures: number;
  readonly txt: number;
  /** Pictures in folders of their own below the prefix. */
  readonly inFolders: number;
  readonly folders: number;
  readonly tars: number;
  readonly tables: Readonly<Record<Layout, readonly Table[]>>;
  readonly kinds: KindsSeen;
}

/** Tables are told one by one: more would be one a picture. */
const mostTables = 100_000;
/** Folders that are told apart. */
const mostFolders = 10;

/** Lists everything once. */
export async function survey(
  store: Pick<ObjectStore, 'list'>,
  from: string,
  note: (keys: number) => void,
): Promise<Survey> {
  const kinds = new KindsSeen();
  const tables: Record<Layout, Table[]> = {
    folder: [],
    imagefolder: [],
    jsonl: [],
    csv: [],
    parquet: [],
    karpathy: [],
    coco: [],
  };
  const folders = new Set<string>();
  let [pictures, txt, inFolders, tars, keys] = [0, 0, 0, 0, 0];
  for await (const { key, bytes, etag } of store.list(`${from}/`)) {
    note(++keys);
    if (key.endsWith('/')) continue;
    const inner = key.slice(from.length + 1);
    kinds.add(inner);
    const ending = endingOf(inner);
    if (isPicture(inner)) {
      pictures++;
      const slash = inner.lastIndexOf('/');
      if (slash > 0) inFolders++;
      if (slash > 0 && folders.size < mostFolders) folders.add(inner.slice(0, slash));
    } else if (ending === 'txt') txt++;
    else if (ending === 'tar') tars++;
    const layout = layoutOf(inner);
    if (!layout) continue;
    if (tables[layout].length >= mostTables)
      throw new RunnerError(
        'DataContract',
        `below ${from}/ lie more than ${mostTables} tables: pack its folders one by one`,
      );
    tables[layout].push({ key, bytes, etag });
  }
  return { pictures, txt, inFolders, folders: folders.size, tars, tables, kinds };
}

const endingOf = (path: string) => /\.([^./]+)$/.exec(path)?.[1]?.toLowerCase() ?? '';

/** By the last ending: in a folder a.b.jpg is a picture. */
export const isPicture = (path: string): boolean => isImage(endingOf(path)) && splitName(path).name !== '';

function layoutOf(inner: string): Layout | null {
  // Parquet has compression of its own, and is read by ranges.
  if (/\.parquet\.(gz|zst)$/i.test(inner)) return null;
  const base = plainName(inner.slice(inner.lastIndexOf('/') + 1));
  const ending = endingOf(base);
  if (/^metadata\.(jsonl|csv|parquet)$/.test(base)) return 'imagefolder';
  if (ending === 'jsonl' || ending === 'ndjson') return 'jsonl';
  if (ending === 'csv' || ending === 'tsv') return 'csv';
  if (ending === 'parquet') return 'parquet';
  if (cocoName.test(inner)) return 'coco';
  return ending === 'json' && base.startsWith('dataset') ? 'karpathy' : null;
}

/** The layout that is said, or that the names of the files show. DataContract with what was seen where there is none. */
export function layoutFrom({ tables, pictures, tars, kinds }: Survey, { from, layout }: PackSettings): Layout {
  const order: Layout[] = ['imagefolder', 'parquet', 'karpathy', 'coco', 'jsonl', 'csv'];
  const seen = kinds.words ?? 'nothing';
  const refuse = (why: string) =>
    new RunnerError('DataContract', `nothing can be packed from ${from}/, which has ${seen}: ${why}`);
  const has = (one: Layout) =>
    one === 'folder' || one === 'imagefolder' ? pictures > 0 || tables[one].length > 0 : tables[one].length > 0;
  if (layout !== undefined) {
    if (has(layout)) return layout;
    throw refuse(`--layout ${layout} needs ${needs[layout]}`);
  }
  const found = order.find((one) => tables[one].length > 0) ?? (pictures > 0 ? 'folder' : null);
  if (found) return found;
  if (tars > 0) throw refuse(`.tar shards are read as they are; siglip2 data look ${from} says how`);
  if (compressed.test(seen))
    throw refuse(`tables are read as they are or as ${tableCompressions.join(' and ')}: unpack those`);
  throw refuse(`needed are ${[...new Set(Object.values(needs))].join('; or ')}`);
}

/** Of kinds of files, as a survey tells them. */
const compressed = /\.(zst|zstd|xz|bz2|lz4|7z|zip|rar|gz)\b/;

const needs: Readonly<Record<Layout, string>> = {
  folder: 'pictures (.jpg, .jpeg, .png, .webp, .avif, .gif, .tif)',
  imagefolder: 'pictures, and metadata.jsonl, metadata.csv or metadata.parquet with file_name and text',
  parquet: '.parquet files with a picture and a text a row',
  jsonl: '.jsonl files with the name of a picture and a text a line',
  csv: '.csv files with the name of a picture and a text a row',
  coco: 'captions_*.json of COCO, such as annotations/captions_train2017.json, and the pictures',
  karpathy: 'dataset_coco.json or dataset_flickr30k.json of Karpathy, and the pictures',
};
