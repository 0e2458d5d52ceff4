/** What moves a cursor or turns the direction of a text. Joiners and soft hyphens are part of words. */
export const unprintable = /[\p{Cc}\p{Cs}\u2028-\u202e\u2066-\u2069]/gu;

/** Names and texts of the data as they may stand in logs and reports: short and harmless. */
export function printable(name: string): string {
  const short = name.length > 120 ? `${name.slice(0, 100)}... (${name.length} characters)` : name;
  return short.replace(unprintable, '?');
}
