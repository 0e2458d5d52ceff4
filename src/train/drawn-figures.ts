import type { BatchFacts } from '../data/batches/types.ts';

/** Sources whose epochs are told: more have no room in a heartbeat. */
const mostSources = 20;

/**
 * What a step says of the examples that it trains on: `source/<source>/drawn` and `language/<language>/drawn`, shares; and
 * of a mixture `source/<source>/epoch`, how often the examples of each source were drawn since the phase began.
 */
export function drawnFigures({ drawn, epochs = {} }: Pick<BatchFacts, 'drawn' | 'epochs'>, count: number) {
  const told = Object.entries(epochs).slice(0, mostSources);
  const figures: Record<string, number> = Object.fromEntries(
    told.map(([name, epoch]) => [`source/${name}/epoch`, epoch]),
  );
  for (const [kind, counts] of [
    ['source', drawn?.sources ?? {}],
    ['language', drawn?.languages ?? {}],
  ] as const)
    for (const [name, examples] of Object.entries(counts)) figures[`${kind}/${name}/drawn`] = examples / count;
  return figures;
}
