import { isRecord, readJsonText } from '../../runtime/json-text.ts';
import { printable } from '../../runtime/printable.ts';
import { memberName, metaExtension } from '../index/members.ts';
import type { ByteRange, ExampleEntry, Mapping } from '../index/types.ts';
import { CorruptExample } from './corrupt-example.ts';
import { parseMapped } from './mapped.ts';
import { parseRegions } from './regions.ts';
import { textOf, textsOf } from './text-of.ts';
import type { ExampleMeta } from './types.ts';

export { CorruptExample };

export const largestMeta = 1024 * 1024;
/** Bytes of a file: a larger one is not one image. */
export const largestImageFile = 256 * 1024 * 1024;

/** Members are read whole: throws `CorruptExample` for ones that no memory should be spent on. */
export function checkSizes({ image, meta, class: of }: ExampleEntry, read?: Mapping): void {
  const parts = [
    [meta, metaExtension(read)],
    [of, read?.class],
  ] as const;
  for (const [part, extension] of parts)
    if (part && part.size > largestMeta)
      throw new CorruptExample(
        `the ${memberName(extension!)} member is too large: ${part.size} bytes, at most ${largestMeta}`,
      );
  if (image.size > largestImageFile)
    throw new CorruptExample(`the image member is too large: ${image.size} bytes, at most ${largestImageFile}`);
}

/** What the members of an example say beside its picture, by the mapping of its index. Throws `CorruptExample`. */
export async function readMeta(
  entry: ExampleEntry,
  read: Mapping | undefined,
  bytesOf: (range: ByteRange) => Promise<Buffer>,
): Promise<ExampleMeta> {
  const meta = await bytesOf(entry.meta);
  return metaOf(entry.name, read, meta, entry.class && (await bytesOf(entry.class)));
}

/** As `readMeta`, of bytes that are there. `of`: those of the member with the class, where it is not `meta`. */
export function metaOf(name: string, read: Mapping | undefined, meta: Buffer, of?: Buffer): ExampleMeta {
  return read ? parseMapped(read, name, meta, of) : parseMeta(meta, name);
}

/**
 * The JSON member of an example: `captions` by language are needed; `key` and `concept` default to the member's
 * name. Numbers are taken as texts, null as absent; of any other type a field is a fault. Throws `CorruptExample`.
 */
export function parseMeta(bytes: Buffer, name: string): ExampleMeta {
  const { value, problem } = readJsonText(bytes);
  if (problem !== undefined) throw new CorruptExample(problem.replace(/^it/, 'the JSON member'));
  if (!isRecord(value) || !isRecord(value.captions)) {
    throw new CorruptExample('the JSON member has no captions, such as {"captions": {"en": ["a dog"]}}');
  }
  const captions: [string, readonly string[]][] = [];
  for (const [language, texts] of Object.entries(value.captions)) {
    const field = `captions.${printable(language).slice(0, 20)}`;
    if (!Array.isArray(texts)) throw new CorruptExample(`${field} is not a list of texts`);
    const kept = textsOf(texts, field);
    if (kept.length > 0) captions.push([language, kept]);
  }
  const own = (key: string) => textOf(value[key], () => key);
  const concepts = severalIn(value.concepts);
  const { regions, source, style, hexcode } = {
    regions: parseRegions(value.regions ?? undefined),
    source: own('source')?.slice(0, 60),
    style: own('style'),
    hexcode: own('hexcode'),
  };
  return {
    key: own('key') ?? name,
    captions: Object.fromEntries(captions),
    concept: own('concept') ?? name,
    ...(concepts && { concepts }),
    ...(value.negatives !== undefined && { negatives: value.negatives }),
    ...(regions.length > 0 ? { regions } : {}),
    ...(source === undefined ? {} : { source }),
    ...(style === undefined ? {} : { style }),
    ...(hexcode === undefined ? {} : { hexcode }),
  };
}

/** Only evaluation looks at it: what is no list of texts is no fault, as training has always passed over it. */
const severalIn = (value: unknown): readonly string[] | null =>
  Array.isArray(value) && value.every((one) => typeof one === 'string' || Number.isSafeInteger(one))
    ? value.map(String)
    : null;
