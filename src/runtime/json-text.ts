import { isUtf8 } from 'node:buffer';
import { foreignKind } from './file-kind.ts';

/** The value of a JSON text, or the one sentence that says why it has none: "it is UTF-16: ...". */
export type JsonText =
  | { readonly value: unknown; readonly problem?: undefined }
  | { readonly value?: undefined; readonly problem: string };

/**
 * Reads JSON as RFC 8259 has it: UTF-8, before which a byte order mark is passed over. What programs write beside that
 * is named, with its place: UTF-16, bytes of other encodings, NaN.
 *
 * @param options `nan`: what is no number is null, as Python's json.dumps writes it where a table has a gap
 */
export function readJsonText(bytes: Uint8Array, { nan = false }: { readonly nan?: boolean } = {}): JsonText {
  const buffer = bufferOf(bytes);
  const kind = foreignKind(buffer);
  if (kind !== null) return { problem: `it is ${kind}` };
  const read = readText(buffer);
  if (read.problem !== undefined) return read;
  const { text } = read;
  try {
    return { value: JSON.parse(text) };
  } catch {
    const mended = nan ? mendedJson(text) : null;
    return (
      mended ?? { problem: text.trim() === '' ? 'it is empty' : ((nan ? null : notANumber(text)) ?? 'it is not JSON') }
    );
  }
}

/** A text in UTF-8 without its byte order mark, or the sentence that says why it is none. */
export function readText(
  bytes: Uint8Array,
): { readonly text: string; readonly problem?: undefined } | { readonly problem: string } {
  const buffer = bufferOf(bytes);
  if (isUtf16(buffer)) return { problem: 'it is UTF-16: save it as UTF-8' };
  if (!isUtf8(buffer)) return { problem: notUtf8(buffer) };
  return { text: buffer.toString('utf8').replace(/^\ufeff/, '') };
}

const bufferOf = (bytes: Uint8Array) => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/** The value of a text that is JSON but for its NaN and Infinity, which outside of strings nothing else can be. */
function mendedJson(text: string): { readonly value: unknown } | null {
  const mended = text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"|-?\b(?:NaN|Infinity)\b/gs, (found) =>
    found.startsWith('"') ? found : 'null',
  );
  try {
    return { value: JSON.parse(mended) };
  } catch {
    return null;
  }
}

/** By its mark, or since the first character of a JSON text is one byte in UTF-8. */
const isUtf16 = (bytes: Buffer) => /^(\xff\xfe|\xfe\xff|\0[^\0]|[^\0]\0)/.test(bytes.toString('latin1', 0, 2));

function notUtf8(bytes: Buffer): string {
  const read = Buffer.from(bytes.toString('utf8'));
  let at = 0;
  while (bytes[at] === read[at]) at++;
  return `it is not UTF-8: byte ${at} is 0x${bytes[at]!.toString(16)}`;
}

/** Python writes NaN and Infinity, which JSON has no way to say: which one, and behind which key. */
function notANumber(text: string): string | null {
  let key = '';
  const next = /"|(?:NaN|Infinity)(?![A-Za-z])/g;
  for (let found = next.exec(text); found; found = next.exec(text)) {
    const [sign] = found;
    const at = found.index;
    if (sign === '"') {
      const end = endOfString(text, at);
      if (/^\s*:/.test(text.slice(end + 1, end + 20))) key = text.slice(at + 1, Math.min(end, at + 41));
      next.lastIndex = end + 1;
      continue;
    }
    const name = text[at - 1] === '-' ? `-${sign}` : sign;
    return `it has ${name}, which is not JSON: ${key === '' ? '' : `behind "${key}", `}character ${at + 1}; write null`;
  }
  return null;
}

function endOfString(text: string, start: number): number {
  const quote = /["\\]/g;
  quote.lastIndex = start + 1;
  for (let found = quote.exec(text); found; found = quote.exec(text)) {
    if (found[0] === '"') return found.index;
    quote.lastIndex = found.index + 2;
  }
  return text.length;
}

/** An object of JSON: no list, and not null. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
