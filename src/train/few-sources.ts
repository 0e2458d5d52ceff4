/** Data may name any number of sources, of any length; heartbeats and commits have room for these. */
const mostSources = 20;
const longestSource = 100;

/** Figures with the shares of the largest sources; what the others have is summed up as that of `other`. */
export function fewSources(figures: Readonly<Record<string, number>>): Record<string, number> {
  const shares = Object.entries(figures).flatMap(([key, share]) => {
    const [, source, of] = /^source\/(.*)\/(candidates|chosen)$/s.exec(key) ?? [];
    return source === undefined ? [] : [{ key, source, of, share }];
  });
  const bySource = shares.filter(({ of }) => of === 'candidates').sort((a, b) => b.share - a.share);
  const named = new Set(bySource.slice(0, mostSources).map(({ source }) => source));
  const keys = new Set(shares.map(({ key }) => key));
  const few = Object.fromEntries(Object.entries(figures).filter(([key]) => !keys.has(key)));
  for (const { source, of, share } of shares) {
    const key = `source/${named.has(source) ? source.slice(0, longestSource) : 'other'}/${of}`;
    few[key] = (few[key] ?? 0) + share;
  }
  return few;
}
