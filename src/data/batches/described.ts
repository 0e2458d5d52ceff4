import type { DescribedExample, Drawn } from './types.ts';

/** Reports show the beginning; a caption may have a megabyte. */
export function shortened({ key, text, ...of }: DescribedExample): DescribedExample {
  return { key: key.slice(0, 512), text: text.slice(0, 1000), ...of };
}

/** How many come from each source, and have their text in each language. */
export function drawnOf(described: readonly DescribedExample[]): Drawn {
  const counts = (names: readonly (string | null | undefined)[]) => {
    const found = new Map<string, number>();
    for (const name of names) if (name != null) found.set(name, (found.get(name) ?? 0) + 1);
    return Object.fromEntries(found);
  };
  return {
    sources: counts(described.map(({ source }) => source)),
    languages: counts(described.map(({ language }) => language)),
  };
}
