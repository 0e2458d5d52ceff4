import { readJsonText } from '../../runtime/json-text.ts';
import { printable } from '../index/printable.ts';
import type { ExampleEntry } from '../index/types.ts';
import { CorruptExample } from './corrupt-example.ts';
import { parseRegions } from './regions.ts';
import type { ExampleMeta } from './types.ts';

export { CorruptExample };

export const largestMeta = 1024 * 1024;
// A file this large is not one image for training.
const largestImageFile = 256 * 1024 * 1024;

/** Members are read whole: throws `CorruptExample` for ones that no memory should be spent on. */
export function checkSizes({ image, meta }: ExampleEntry): void {
  if (meta.size > largestMeta)
    throw new CorruptExample(`the JSON member is too large: ${meta.size} bytes, at most ${largestMeta}`);
  if (image.size > largestImageFile)
    throw new CorruptExample(`the image member is too large: ${image.size} bytes, at most ${largestImageFile}`);
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
    const kept = texts.flatMap((text, i) => {
      const taken = textOf(text, () => `${field}.${i}`);
      return taken === undefined || taken.trim() === '' ? [] : [taken];
    });
    if (kept.length > 0) captions.push([language, kept]);
  }
  const own = (key: string) => textOf(value[key], () => key);
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
    ...(regions.length > 0 ? { regions } : {}),
    ...(source === undefined ? {} : { source }),
    ...(style === undefined ? {} : { style }),
    ...(hexcode === undefined ? {} : { hexcode }),
  };
}

/** A text; a number as its digits; undefined for what is not there. Throws `CorruptExample`, naming the field. */
function textOf(value: unknown, field: () => string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  // Beyond that JSON has lost digits, so that different labels would be one.
  if (typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER) return String(value);
  const got = Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : String(value);
  throw new CorruptExample(
    `${field()} is not a text: ${got}${typeof value === 'number' ? ', write it in quotes' : ''}`,
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
