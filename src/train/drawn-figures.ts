import type { Batch } from '../data/batches/types.ts';

/** What a step says of the examples that it trains on: `source/<source>/drawn` and `language/<language>/drawn`, shares. */
export function drawnFigures({ drawn }: Pick<Batch, 'drawn'>, count: number): Record<string, number> {
  if (!drawn) return {};
  const shares = (kind: string, counts: Readonly<Record<string, number>>) =>
    Object.entries(counts).map(([name, examples]) => [`${kind}/${name}/drawn`, examples / count] as const);
  return Object.fromEntries([...shares('source', drawn.sources), ...shares('language', drawn.languages)]);
}
