/** N-grams of 1 to 4 words. */
export const longest = 4;

/** How often a text has each of its n-grams, whose words are joined by a space, by length. */
export function countNgrams(words: readonly string[]): Map<string, number>[] {
  return Array.from({ length: longest }, (_, n) => {
    const counts = new Map<string, number>();
    for (let i = 0; i + n < words.length; i++) {
      const ngram = words.slice(i, i + n + 1).join(' ');
      counts.set(ngram, (counts.get(ngram) ?? 0) + 1);
    }
    return counts;
  });
}
