import { openBatches } from '../../src/data/batches/batches.ts';
import type { Batch } from '../../src/data/batches/types.ts';
import type { DataIndex } from '../../src/data/index/types.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';

/** Examples in the order of a phase, drawn once for all that train on them: a batch of any size is a stretch of them. */
export interface Drawn {
  readonly count: number;
  /** Batch `index` of batches of `count`. */
  batch(index: number, count: number): Batch;
}

/** Draws at least `count` examples, a batch of the phase at a time. A picture of 32 pixels takes 3 kB. */
export async function drawExamples(
  index: DataIndex,
  { batches }: Pick<PhaseSettings, 'batches'>,
  count: number,
  env: NodeJS.ProcessEnv,
): Promise<Drawn> {
  const { batch } = batches;
  const source = openBatches({ index: index.document, plan: batches, firstBatch: 0, env });
  const images: Uint8Array[] = [];
  const tokens: Int32Array[] = [];
  try {
    for (let k = 0; k * batch < count; k++) {
      const next = await source.next();
      const rows = await next.rows(0, batch, { last: true });
      images.push(Uint8Array.from(rows.images!));
      tokens.push(Int32Array.from(rows.tokens!));
      next.close();
    }
  } finally {
    await source.close();
  }
  const drawn = images.length * batch;
  const [allImages, allTokens] = [joined(Uint8Array, images), joined(Int32Array, tokens)];
  const part = <T extends Uint8Array | Int32Array>(all: T, first: number, rows: number) =>
    all.subarray((first * all.length) / drawn, ((first + rows) * all.length) / drawn) as T;
  return {
    count: drawn,
    batch: (at, rows) => ({
      index: at,
      images: part(allImages, at * rows, rows),
      tokens: part(allTokens, at * rows, rows),
      parts: {},
      skipped: [],
    }),
  };
}

function joined<T extends Uint8Array | Int32Array>(kind: new (length: number) => T, parts: readonly T[]): T {
  const all = new kind(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}
