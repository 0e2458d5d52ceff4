import { Readable } from 'node:stream';
import { csvRows } from '../packing/tables.ts';
import { RunnerError } from '../runtime/errors.ts';
import { isRecord, readJsonText } from '../runtime/json-text.ts';
import { printable } from '../runtime/printable.ts';
import type { Benchmark, Example, Fault } from './benchmark.ts';
import { type Files, isSafe, listFile } from './files.ts';
import { entries } from './json-entries.ts';

/** Pictures with text in them, as big_vision's builders of the same names read them; what is in no class has none. */
const ofCaptions = (examples: Benchmark['examples']): Benchmark => ({
  classes: null,
  templates: null,
  notes: [],
  examples,
});

/** Captions by picture; more are not held. */
const mostPictures = 1_000_000;

/** TextCaps: `TextCaps_0.1_SPLIT.json`, pictures in `train_images`, those of test in `test_images`. Names and captions are held. */
export function openTextCaps(
  files: Files,
  { split = 'val', table, pictures }: { readonly split?: string; readonly table?: string; readonly pictures?: string },
): Benchmark {
  const list = table ?? `TextCaps_0.1_${split}.json`;
  const folder = pictures ?? (split === 'test' ? 'test_images' : 'train_images');
  return ofCaptions(async function* () {
    const found = new Map<string, string[]>();
    for await (const { image_id: id, caption_str: said } of entries(files, list, 'data')) {
      const name = typeof id === 'string' || typeof id === 'number' ? String(id) : '';
      if (!isSafe(name)) {
        yield { name: printable(String(id)), fault: 'its image_id names no picture' };
        continue;
      }
      if (found.size === mostPictures && !found.has(name))
        throw new RunnerError('DataContract', `${files.where}/${list} has more than ${mostPictures} pictures`);
      const own = found.get(name) ?? [];
      found.set(name, own);
      if (typeof said === 'string' && said.trim() !== '') own.push(said);
    }
    for (const [name, captions] of found) yield captioned(name, `${folder}/${name}.jpg`, captions);
  });
}

/** Screen2Words: `screen_summaries.csv`, `split/SPLIT_screens.txt`, and RICO's screens in `pictures`. */
export function openScreen2Words(
  files: Files,
  { split = 'test', table = 'screen_summaries.csv', pictures = 'combined' },
): Benchmark {
  return ofCaptions(async function* () {
    const list = `split/${split}_screens.txt`;
    const screens = (await listFile(files, list))?.filter((line) => line !== '');
    if (!screens) throw new RunnerError('DataContract', `${files.where}/${list} is not there`);
    const summaries = new Map<string, string[]>(screens.map((screen) => [screen, []]));
    const stream = async (key: string) => Readable.from(await files.stream(key));
    for await (const found of csvRows({ stream }, { key: table, bytes: 0, etag: '' })) {
      if ('fault' in found) {
        yield found;
        continue;
      }
      const { screenId, summary } = found.row;
      if (typeof summary === 'string' && summary.trim() !== '') summaries.get(String(screenId).trim())?.push(summary);
    }
    for (const [screen, captions] of summaries)
      yield isSafe(screen)
        ? captioned(screen, `${pictures}/${screen}.jpg`, captions)
        : { name: printable(screen), fault: 'it names no screen' };
  });
}

/**
 * SciCap: of the figures that `List-of-Files-for-Each-Experiments/<table>/SPLIT/file_idx.json` names the caption in lower case,
 * without the number of the figure. `table` says which captions: whole ones of one sentence, the first sentence, or at most
 * 100 words, and whether figures have parts. The paper does not say which of them it means.
 */
export function openSciCap(files: Files, { split = 'test', table = 'First-Sentence/No-Subfig' }): Benchmark {
  const pictures = table.endsWith('Yes-Subfig') ? 'SciCap-Yes-Subfig-Img' : 'SciCap-No-Subfig-Img';
  const list = `List-of-Files-for-Each-Experiments/${table}/${split}/file_idx.json`;
  return ofCaptions(async function* () {
    const { value } = readJsonText(await files.read(list, 256 * 1024 * 1024));
    if (!Array.isArray(value)) throw new RunnerError('DataContract', `${files.where}/${list} is no list of pictures`);
    for (const name of value) {
      if (typeof name !== 'string' || !isSafe(name) || !name.endsWith('.png')) {
        yield { name: printable(String(name)), fault: 'it names no picture' };
        continue;
      }
      const texts = `SciCap-Caption-All/${split}/${name.slice(0, -'.png'.length)}.json`;
      if ((await files.size(texts)) === null)
        yield { name: printable(name), fault: `${printable(texts)} is not there` };
      else yield captioned(name, `${pictures}/${split}/${name}`, captionsIn(await files.read(texts, 1024 * 1024)));
    }
  });
}

function captionsIn(bytes: Buffer): string[] {
  const { value } = readJsonText(bytes, { nan: true });
  const said = isRecord(value) ? value['1-lowercase-and-token-and-remove-figure-index'] : null;
  return isRecord(said) && typeof said.caption === 'string' && said.caption.trim() !== '' ? [said.caption] : [];
}

const captioned = (name: string, file: string, captions: readonly string[]): Example | Fault =>
  captions.length > 0
    ? { name, picture: { file }, captions: { en: captions } }
    : { name: printable(name), fault: 'it has no caption' };
