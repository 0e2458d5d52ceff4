import { CorruptExample } from '../data/example/corrupt-example.ts';
import { largestImageFile } from '../data/example/example.ts';
import type { ShardStore } from '../data/index/part-reader.ts';
import { isRunnerError } from '../runtime/errors.ts';
import { readText } from '../runtime/json-text.ts';
import { captionsOf, hasText } from './captions.ts';
import { fetchOf } from './read-part.ts';
import type { RowItem } from './row-item.ts';
import type { PackedMeta } from './types.ts';

const largestText = 1024 * 1024;

/** What a picture is that a row names and that is not there. */
export const missing = 'the picture is missing';

/** The bytes of a picture. Throws `CorruptExample` for one that is not there, or too large. */
export async function pictureOf(store: ShardStore, item: RowItem): Promise<Uint8Array> {
  if (item.fault !== undefined) throw new CorruptExample(item.fault);
  const tooLarge = (bytes: number | string) =>
    new CorruptExample(`the picture is too large: ${bytes} bytes, at most ${largestImageFile}`);
  if ((item.bytes ?? item.picture?.length ?? 0) > largestImageFile) throw tooLarge(item.bytes ?? item.picture!.length);
  const bytes =
    item.picture ?? (await thereOr(() => fetchOf(store, item, largestImageFile), `${missing}: ${item.key}`));
  if (bytes.length > largestImageFile) throw tooLarge('more');
  if (bytes.length === 0) throw new CorruptExample('the picture is empty');
  return bytes;
}

/** What is said of a picture. Throws `CorruptExample` where that is nothing. */
export async function metaOfItem(store: ShardStore, item: RowItem, language: string): Promise<PackedMeta> {
  if (item.fault !== undefined) throw new CorruptExample(item.fault);
  if (item.meta) return item.meta;
  const bytes = await thereOr(
    () => store.get(item.txt!, { size: largestText + 1 }),
    `no .txt lies beside the picture: ${item.txt}`,
  );
  if (bytes.length > largestText) throw new CorruptExample(`the .txt is too large: more than ${largestText} bytes`);
  const { text, problem } = { text: '', problem: undefined, ...readText(bytes) };
  if (problem !== undefined) throw new CorruptExample(`the .txt can't be read: ${problem}`);
  const captions = captionsOf(text, language, 'the .txt');
  if (!hasText(captions)) throw new CorruptExample('the .txt is empty');
  return { key: item.name, captions };
}

async function thereOr(read: () => Promise<Buffer>, otherwise: string): Promise<Buffer> {
  try {
    return await read();
  } catch (error) {
    if (isRunnerError(error, 'ObjectMissing')) throw new CorruptExample(otherwise);
    throw error;
  }
}
