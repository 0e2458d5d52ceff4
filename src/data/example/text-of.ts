import { CorruptExample } from './corrupt-example.ts';

/** A text; a number as its digits; undefined for what is not there. Throws `CorruptExample`, naming the field. */
export function textOf(value: unknown, field: () => string): string | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return value;
  // Beyond that JSON has lost digits, so that different labels would be one.
  if (typeof value === 'number' && Math.abs(value) <= Number.MAX_SAFE_INTEGER) return String(value);
  const got = Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : String(value);
  throw new CorruptExample(
    `${field()} is not a text: ${got}${typeof value === 'number' ? ', write it in quotes' : ''}`,
  );
}

/** Those of a list that say something. Throws `CorruptExample`, naming the field. */
export function textsOf(list: readonly unknown[], field: string): string[] {
  return list.flatMap((text, i) => {
    const taken = textOf(text, () => `${field}.${i}`);
    return taken === undefined || taken.trim() === '' ? [] : [taken];
  });
}
