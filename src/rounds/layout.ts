import type { Dtype } from '../safetensors/dtypes.ts';
import { safetensorsSize } from '../safetensors/safetensors.ts';
import { type Exchange, exchanges, packedBytes } from './exchange.ts';
import { blockOf, lengthOf, type RoundParameter, rowsOf } from './parameters.ts';
import type { Rounder } from './rounding.ts';

/** What a file of changes says of itself. */
export interface DeltaHead {
  readonly exchange: Exchange;
  /** Of the run: what rounding is drawn from. */
  readonly seed: number;
  readonly round: number;
  /** The slot whose replica wrote it, or the merger. */
  readonly from: Rounder;
  /** What a replica trained on, its weight in the mean; of the merger, the sum of them. */
  readonly examples: number;
}

/** The tensor with the rows of a table that are there. */
export const rowsTensor = (name: string) => `rows/${name}`;

/**
 * The tensors of a file of changes, without their numbers. Types of codes are U8, block after block, each its scale and then
 * its codes. A table by rows has those that are there, one after another, and a bit for each row that there could be.
 *
 * @param rows how many rows of a table are there, by its name
 */
export function deltaTensors(
  exchange: Exchange,
  parameters: readonly RoundParameter[],
  rows: ReadonlyMap<string, number>,
): { readonly name: string; readonly dtype: Dtype; readonly shape: readonly number[] }[] {
  return parameters.flatMap((parameter) => {
    const { name, byRow } = parameter;
    const block = blockOf(parameter);
    const count = byRow ? rows.get(name)! * block : lengthOf(parameter);
    const data = {
      name,
      ...(exchange === 'f32' && ({ dtype: 'F32', shape: [count] } as const)),
      ...(exchange === 'bf16' && ({ dtype: 'BF16', shape: [count] } as const)),
    };
    const tensor = { dtype: 'U8', shape: [packedBytes(exchange, count, block)], ...data } as const;
    if (!byRow) return [tensor];
    return [tensor, { name: rowsTensor(name), dtype: 'U8', shape: [Math.ceil(rowsOf(parameter) / 8)] } as const];
  });
}

export function deltaMetadata({ exchange, seed, round, from, examples }: DeltaHead): Record<string, string> {
  return {
    format: 'siglip2-delta-1',
    exchange,
    seed: `${seed}`,
    round: `${round}`,
    from: `${from}`,
    examples: `${examples}`,
  };
}

/** What metadata say, or null where they are not of a file of changes. */
export function readHead(metadata: Readonly<Record<string, string>>): DeltaHead | null {
  const { format, exchange, seed, round, from, examples } = metadata;
  const known = exchanges.find((one) => one === exchange);
  const texts = [seed, round, examples, from === 'merged' ? '0' : from];
  if (format !== 'siglip2-delta-1' || !known || !texts.every((text) => /^-?\d{1,15}$/.test(text ?? ''))) return null;
  const numbers = texts.map(Number);
  const rounder = from === 'merged' ? from : Number(from);
  return { exchange: known, seed: numbers[0]!, round: numbers[1]!, from: rounder, examples: numbers[2]! };
}

/** Bytes of a file of changes, the same that writing it gives. */
export function deltaSize(
  head: DeltaHead,
  parameters: readonly RoundParameter[],
  rows: ReadonlyMap<string, number>,
): number {
  return safetensorsSize(deltaTensors(head.exchange, parameters, rows), deltaMetadata(head));
}
