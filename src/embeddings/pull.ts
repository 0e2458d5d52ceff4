import { type FileHandle, mkdir, open, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { dataHash } from '../evaluate/features/part-file.ts';
import { rowCount } from '../evaluate/numbers/matrix.ts';
import { counted, outOf } from '../runtime/count-text.ts';
import { RunnerError } from '../runtime/errors.ts';
import { SafetensorsFile } from '../safetensors/safetensors.ts';
import type { ObjectStore } from '../storage/object-store.ts';
import { type Embeddings, manifestBytes, partsOf } from './manifest.ts';
import { NpyFile } from './npy.ts';
import { ParquetFile } from './parquet.ts';
import { blocksOf, keysOf, type RowKey, type RowKind } from './rows.ts';

export const pullForms = ['safetensors', 'npy', 'parquet'] as const;
export type PullForm = (typeof pullForms)[number];

/** Rows of a Parquet file, at least: its footer, which is in memory until its end, has 0.2 MB. */
const rowsOfFile = 500_000;

/**
 * Writes embeddings to a folder: their parts as they are, or each kind of rows as NumPy files with keys beside, or as Parquet. A
 * block of 8 MB is in memory, of parts as they are a whole one. A file has its name when it is whole; begun again, it is written anew.
 *
 * @returns the names of the files
 */
export async function pullEmbeddings(
  store: ObjectStore,
  embeddings: Embeddings,
  folder: string,
  { form, say }: { readonly form: PullForm; readonly say: (text: string) => void },
): Promise<string[]> {
  await mkdir(folder, { recursive: true });
  const written = form === 'safetensors' ? await pullParts(store, embeddings, folder, say) : [];
  for (const kind of form === 'safetensors' ? [] : kindsOf(embeddings)) {
    const of = { store, embeddings, folder, kind, say };
    written.push(...(form === 'npy' ? await pullNpy(of) : await pullParquet(of)));
  }
  await writeFile(join(folder, 'embeddings.json'), manifestBytes(embeddings));
  return [...written, 'embeddings.json'];
}

function kindsOf({ tensors }: Embeddings): RowKind[] {
  return [
    ...(tensors.images === null ? [] : (['images'] as const)),
    ...(tensors.patches === null ? [] : (['patches'] as const)),
    ...(Object.keys(tensors.texts).length === 0 ? [] : (['texts'] as const)),
  ];
}

async function pullParts(
  store: ObjectStore,
  embeddings: Embeddings,
  folder: string,
  say: (text: string) => void,
): Promise<string[]> {
  const written: string[] = [];
  for await (const { key, etag, data } of partsOf(store, embeddings)) {
    const name = key.split('/').at(-1)!;
    const file = join(folder, name);
    await writeFile(`${file}.part`, await store.get(key, { etag }), { flush: true });
    const opened = await SafetensorsFile.open(`${file}.part`);
    const found = await dataHash(opened).finally(() => opened.close());
    if (found !== data)
      throw new RunnerError(
        'DataContract',
        `s3://${store.bucket}/${key} is not what was committed; delete it and start siglip2Embed again with the same settings`,
      );
    await rename(`${file}.part`, file);
    written.push(name);
    say(outOf(written.length, embeddings.parts, 'part'));
  }
  return written;
}

interface Pull {
  readonly store: ObjectStore;
  readonly embeddings: Embeddings;
  readonly folder: string;
  readonly kind: RowKind;
  readonly say: (text: string) => void;
}

const keyLine = ({ shard, name, language, caption }: RowKey): string =>
  `${JSON.stringify({ shard, name, ...(language !== undefined && { language, caption }) })}\n`;

/** KIND.npy, one row after another, and KIND.keys.jsonl with a line for each. */
async function pullNpy({ store, embeddings, folder, kind, say }: Pull): Promise<string[]> {
  const { examples, texts, width } = embeddings;
  const rows = kind === 'texts' ? Object.values(texts).reduce((sum, count) => sum + count, 0) : examples;
  const names = [`${kind}.npy`, `${kind}.keys.jsonl`];
  const [numbers, keys] = await Promise.all(names.map((name) => open(join(folder, `${name}.part`), 'w')));
  try {
    let file: NpyFile | null = null;
    let done = 0;
    for await (const block of blocksOf(store, embeddings, kind)) {
      file ??= await NpyFile.begin(numbers!, [rows, ...block.shape]);
      await file.add(block.rows);
      await keys!.write(keysOf(block).map(keyLine).join(''));
      done += rowCount(block);
      say(`${outOf(done, rows, 'row')} of ${kind}`);
    }
    file ??= await NpyFile.begin(numbers!, [rows, width]);
    file.end();
    await Promise.all([numbers!.sync(), keys!.sync()]);
  } finally {
    await Promise.all([numbers!.close(), keys!.close()]);
  }
  for (const name of names) await rename(join(folder, `${name}.part`), join(folder, name));
  return names;
}

/** KIND-000000.parquet and so on. */
async function pullParquet({ store, embeddings, folder, kind, say }: Pull): Promise<string[]> {
  const names: string[] = [];
  let [rows, done] = [0, 0];
  let current: { readonly file: FileHandle; readonly parquet: ParquetFile } | null = null;
  const end = async () => {
    if (!current) return;
    const { file, parquet } = current;
    current = null;
    try {
      await parquet.end();
      await file.sync();
    } finally {
      await file.close();
    }
    const path = join(folder, names.at(-1)!);
    await rename(`${path}.part`, path);
  };
  try {
    for await (const block of blocksOf(store, embeddings, kind)) {
      if (!current) {
        names.push(`${kind}-${String(names.length).padStart(6, '0')}.parquet`);
        const file = await open(join(folder, `${names.at(-1)}.part`), 'w');
        current = { file, parquet: new ParquetFile(file, kind === 'texts') };
        rows = 0;
      }
      await current.parquet.add(block);
      rows += rowCount(block);
      done += rowCount(block);
      say(`${counted(done, 'row')} of ${kind}`);
      if (rows >= rowsOfFile) await end();
    }
    await end();
  } finally {
    await (current as { readonly file: FileHandle } | null)?.file.close();
  }
  return names;
}
