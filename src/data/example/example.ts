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
  if (meta.size > largestMeta) throw new CorruptExample(`JSON member of ${meta.size} bytes, at most ${largestMeta}`);
  if (image.size > largestImageFile) {
    throw new CorruptExample(`image member of ${image.size} bytes, at most ${largestImageFile}`);
  }
}

/**
 * The JSON member of an example: `captions` by language are needed; `key` and `concept` default to the member's
 * name. Throws `CorruptExample`.
 */
export function parseMeta(bytes: Buffer, name: string): ExampleMeta {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    throw new CorruptExample('the JSON member is not JSON');
  }
  if (!isRecord(value) || !isRecord(value.captions)) {
    throw new CorruptExample('the JSON member has no captions, such as {"captions": {"en": ["a dog"]}}');
  }
  const captions: [string, readonly string[]][] = [];
  for (const [language, texts] of Object.entries(value.captions)) {
    if (!Array.isArray(texts)) throw new CorruptExample(`captions.${language.slice(0, 20)} is not a list of texts`);
    const kept = texts.filter((text): text is string => typeof text === 'string' && text.trim() !== '');
    if (kept.length > 0) captions.push([language, kept]);
  }
  const own = (key: string, fallback: string) => (typeof value[key] === 'string' ? value[key] : fallback);
  const regions = parseRegions(value.regions);
  return {
    key: own('key', name),
    captions: Object.fromEntries(captions),
    concept: own('concept', name),
    ...(regions.length > 0 ? { regions } : {}),
    ...(typeof value.source === 'string' ? { source: value.source.slice(0, 60) } : {}),
    ...(typeof value.style === 'string' ? { style: value.style } : {}),
    ...(typeof value.hexcode === 'string' ? { hexcode: value.hexcode } : {}),
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
