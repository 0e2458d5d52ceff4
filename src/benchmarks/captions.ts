import { Readable } from 'node:stream';
import { jsonlRows, karpathyRows } from '../packing/tables.ts';
import { isRecord } from '../runtime/json-text.ts';
import { printable } from '../runtime/printable.ts';
import type { Benchmark, Example, Fault } from './benchmark.ts';
import { type Files, isSafe } from './files.ts';

/** A table of the data set, as the readers of src/packing take it. */
const tableOf = (files: Files, name: string) =>
  [
    { stream: async (key: string) => Readable.from(await files.stream(key)) },
    { key: name, bytes: 0, etag: '' },
  ] as const;

const textsOf = (values: readonly unknown[]) =>
  values.flatMap((value) => (typeof value === 'string' && value.trim() !== '' ? [value] : []));

/**
 * Karpathy's splits of COCO and Flickr30k: `dataset_coco.json`, with `filepath/filename` of pictures below `pictures`. COCO's
 * 5,000 of `test` have 25,010 captions, all of which are queries. Pictures of other splits are passed over. One entry is held.
 */
export function openKarpathy(
  files: Files,
  {
    table,
    pictures = '',
    split = 'test',
  }: { readonly table: string; readonly pictures?: string; readonly split?: string },
): Benchmark {
  return {
    classes: null,
    templates: null,
    notes: [],
    async *examples() {
      for await (const found of karpathyRows(...tableOf(files, table))) {
        if ('fault' in found) {
          yield found;
          continue;
        }
        const { file_name: file, sentences, split: own } = found.row;
        if (own !== split) continue;
        const fault = (reason: string): Fault => ({ name: found.name, fault: reason });
        if (typeof file !== 'string' || !isSafe(file)) {
          yield fault('it names no picture within the data set');
          continue;
        }
        const captions = textsOf(
          Array.isArray(sentences) ? sentences.map((one) => (isRecord(one) ? one.raw : null)) : [],
        );
        const at = pictures === '' ? file : `${pictures}/${file}`;
        yield captions.length > 0
          ? { name: file, picture: { file: at }, captions: { en: captions } }
          : fault(`${printable(file)} has no caption`);
      }
    },
  };
}

/**
 * Crossmodal-3600: `captions.jsonl` of captions.zip, and `images/KEY.jpg`. Its 36 languages have tags as they are there; quz is
 * Cusco Quechua, fil Filipino. A picture without a caption in one of `languages` has those of the others.
 */
export function openXm3600(files: Files, { languages }: { readonly languages: readonly string[] }): Benchmark {
  return {
    classes: null,
    templates: null,
    notes: [],
    async *examples() {
      for await (const found of jsonlRows(...tableOf(files, 'captions.jsonl'))) {
        if ('fault' in found) yield found;
        else yield* captioned(found.row);
      }
    },
  };

  async function* captioned(row: Readonly<Record<string, unknown>>): AsyncGenerator<Example | Fault> {
    const key = row['image/key'];
    if (typeof key !== 'string' || !isSafe(key) || key.includes('/')) {
      yield { name: printable(String(key)), fault: 'its image/key names no picture' };
      return;
    }
    const file = `images/${key}.jpg`;
    if ((await files.size(file)) === null) {
      yield { name: key, fault: `${file} is not there` };
      return;
    }
    const captions: Record<string, readonly string[]> = {};
    for (const language of languages) {
      const own = Object.hasOwn(row, language) ? row[language] : undefined;
      const texts = isRecord(own) && Array.isArray(own.caption) ? textsOf(own.caption) : [];
      if (texts.length > 0) captions[language] = texts;
      else yield { name: key, fault: `it has no caption in ${language}` };
    }
    if (Object.keys(captions).length > 0) yield { name: key, picture: { file }, captions };
  }
}
