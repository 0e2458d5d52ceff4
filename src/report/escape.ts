/** What moves a cursor or turns the direction of a text around it. */
const unprintable = /[\p{Cc}\p{Cs}\u2028-\u202e\u2066-\u2069]/gu;
const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** A text from outside as it may stand in HTML, in an attribute and in SVG: cut short, and in harmless characters. */
export function escaped(text: string, longest = 300): string {
  const short = text.length > longest ? `${text.slice(0, longest)}... (${text.length} characters)` : text;
  return entitled(short.replace(unprintable, '?'));
}

/** The same of a text of several lines, whole: whoever calls it has bounded it. */
export const escapedLines = (text: string): string =>
  text
    .split('\n')
    .map((line) => escaped(line, 2000))
    .join('\n');

const entitled = (text: string) => text.replaceAll(/[&<>"']/g, (character) => entities[character]!);
