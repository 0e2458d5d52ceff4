import { printableUpTo } from '../runtime/printable.ts';

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** A text from outside as it may stand in HTML, in an attribute and in SVG: cut short, and in harmless characters. */
export const escaped = (text: string, longest = 320): string => entitled(printableUpTo(longest, text));

/** The same of a text of several lines, whole: whoever calls it has bounded it. */
export const escapedLines = (text: string): string =>
  text
    .split('\n')
    .map((line) => escaped(line, 2000))
    .join('\n');

const entitled = (text: string) => text.replaceAll(/[&<>"']/g, (character) => entities[character]!);
