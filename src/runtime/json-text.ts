import { isUtf8 } from 'node:buffer';
import { foreignKind } from './file-kind.ts';

/** The value of a JSON text, or the one sentence that says why it has none: "it is UTF-16: ...". */
export type JsonText =
  | { readonly value: unknown; readonly problem?: undefined }
  | { readonly value?: undefined; readonly problem: string };

/**
 * Reads JSON as RFC 8259 has it: UTF-8, before which a byte order mark is passed over. What programs write beside that
 * is named, with its place: UTF-16, bytes of other encodings, NaN.
 */
export function readJsonText(bytes: Uint8Array): JsonText {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const kind = foreignKind(buffer);
  if (kind !== null) return { problem: `it is ${kind}` };
  if (isUtf16(buffer)) return { problem: 'it is UTF-16: save it as UTF-8' };
  if (!isUtf8(buffer)) return { problem: notUtf8(buffer) };
  const text = buffer.toString('utf8').replace(/^\ufeff/, '');
  try {
    return { value: JSON.parse(text) };
  } catch {
    return { problem: text.trim() === '' ? 'it is empty' : (notANumber(text) ?? 'it is not JSON') };
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
  const other = /[^"NI]+/y;
  for (let at = 0; at < text.length; ) {
    if (text[at] === '"') {
      const end = endOfString(text, at);
      if (/^\s*:/.test(text.slice(end + 1, end + 20))) key = text.slice(at + 1, Math.min(end, at + 41));
      at = end + 1;
      continue;
    }
    other.lastIndex = at;
    const skipped = other.exec(text)?.[0].length ?? 0;
    if (skipped > 0) {
      at += skipped;
      continue;
    }
    const found = /^(NaN|Infinity)(?![A-Za-z])/.exec(text.slice(at, at + 9))?.[0];
    if (found) {
      const name = text[at - 1] === '-' ? `-${found}` : found;
      return `it has ${name}, which is not JSON: ${key === '' ? '' : `behind "${key}", `}character ${at + 1}; write null`;
    }
    at++;
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
