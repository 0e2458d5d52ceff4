import { writeSafetensors } from '../safetensors/safetensors.ts';
import { blockOf, type Numbers, piecesOf, type RoundParameter } from './parameters.ts';
import type { DeltaFile } from './read-delta.ts';

/**
 * A parameter after a round, in pieces of f32: before + change, added in f64 and rounded once. This defines it: whoever holds
 * what the round began from and the merged change gets the same bytes. A row that is not there stays as it was.
 */
export async function* applied(
  parameter: RoundParameter,
  before: Numbers,
  delta: DeltaFile,
): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const rows = delta.rows.get(parameter.name) ?? null;
  for (const { first, count } of piecesOf(parameter)) {
    const began = await before.part(parameter.name, first, count);
    const change = new Float64Array(count);
    await delta.read(parameter, first, count, change);
    const block = rows ? blockOf(parameter) : count;
    const next = new Float32Array(began);
    for (let from = 0; from < count; from += block) {
      if (rows && !rows.has((first + from) / block)) continue;
      const end = Math.min(from + block, count);
      if (delta.head.exchange === 'f32') for (let i = from; i < end; i++) next[i] = change[i]!;
      else for (let i = from; i < end; i++) next[i] = began[i]! + change[i]!;
    }
    yield new Uint8Array(next.buffer);
  }
}

/** Writes all of these parameters as they are after a round. */
export function writeApplied(
  path: string,
  parameters: readonly RoundParameter[],
  before: Numbers,
  delta: DeltaFile,
): Promise<{ bytes: number; sha256: string }> {
  return writeSafetensors(
    path,
    parameters.map((parameter) => ({
      name: parameter.name,
      dtype: 'F32',
      shape: parameter.shape,
      data: () => applied(parameter, before, delta),
    })),
  );
}
