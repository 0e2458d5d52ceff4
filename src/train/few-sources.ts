/** Data may name any number of sources and languages, of any length; heartbeats and commits have room for these of each. */
const mostNames = 20;
const longestName = 100;

/** How the share that a source or a language has of a step is called; `drawn` where nothing is chosen. */
const shareName = /^(source|language)\/(.*)\/(candidates|chosen|drawn)$/s;

/** Whether a figure is the share of a source or a language, which a step may have nothing of. */
export const isShare = (figure: string): boolean => shareName.test(figure);

/** Figures with the shares of the largest sources and languages; what the others have is summed up as that of `other`. */
export function fewSources(figures: Readonly<Record<string, number>>): Record<string, number> {
  const shares = Object.entries(figures).flatMap(([key, share]) => {
    const [, kind, name, of] = shareName.exec(key) ?? [];
    return name === undefined ? [] : [{ key, kind, name, of, share }];
  });
  const largest = (kind: string) =>
    shares
      .filter((one) => one.kind === kind && one.of !== 'chosen')
      .sort((a, b) => b.share - a.share)
      .slice(0, mostNames)
      .map(({ name }) => `${kind}/${name}`);
  const named = new Set([...largest('source'), ...largest('language')]);
  const keys = new Set(shares.map(({ key }) => key));
  const few = Object.fromEntries(Object.entries(figures).filter(([key]) => !keys.has(key)));
  for (const { kind, name, of, share } of shares) {
    const key = `${kind}/${named.has(`${kind}/${name}`) ? name.slice(0, longestName) : 'other'}/${of}`;
    few[key] = (few[key] ?? 0) + share;
  }
  return few;
}
