/** What moves a cursor or turns the direction of a text. Joiners and soft hyphens are part of words. */
export const unprintable = /[\p{Cc}\p{Cs}\u2028-\u202e\u2066-\u2069]/gu;

/** Names and texts from outside as they may stand in logs, reports and terminals: short and harmless. */
export const printable = (text: string): string => printableUpTo(120, text);

/** The same of a text of up to so many characters. */
export function printableUpTo(longest: number, text: string): string {
  const short = text.length > longest ? `${text.slice(0, longest - 20)}... (${text.length} characters)` : text;
  return short.replace(unprintable, '?');
}
