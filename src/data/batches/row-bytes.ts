import type { BatchPlan } from '../../recipe/batch-plan.ts';
import type { BatchPart } from './batch-part.ts';
import { batchParts } from './batch-parts.ts';

const mebi = 2 ** 20;
const bytesOf = { uint8: 1, int32: 4, float32: 4 } as const;

/** Of rows that are made, sent and kept together: a batch of fewer bytes is one piece. */
export const pieceBytes = 64 * mebi;
/** Of rows that a thread is asked for together, where several make the rows of a piece. */
export const stripBytes = 4 * mebi;
/** Of pieces that are ready before they are asked for. */
export const prefetchBytes = 512 * mebi;
/** Of pieces that are kept for a second use in memory; beyond it they lie on the disk. */
export const heldBytes = 1024 * mebi;
/** Of batches that are read ahead onto the disk while a large one is trained on. */
export const aheadBytes = 8 * 1024 * mebi;
/** No array that a step is fed may be larger. */
export const largestArrayBytes = 1024 * mebi;

/** Bytes of one example in each array of a batch, by the name of its feed. `length`: patches of NaFlex images, else null. */
export function rowBytes(plan: BatchPlan, length: number | null): Readonly<Record<string, number>> {
  const { resolution, textLength, naflex, parts = {} } = plan;
  const images =
    length === null
      ? { images: 3 * resolution ** 2 }
      : { images: 3 * length * naflex!.patch ** 2, patchMask: 4 * length, spatialShapes: 2 * 4 };
  const known: Readonly<Record<string, BatchPart<unknown>>> = batchParts;
  const own = Object.entries(parts).flatMap(([name, settings]) =>
    settings === undefined || known[name] === undefined ? [] : Object.entries(known[name].arrays(settings, plan)),
  );
  return {
    ...images,
    tokens: 4 * textLength,
    ...Object.fromEntries(own.map(([name, { dtype, size }]) => [name, bytesOf[dtype] * size])),
  };
}

/** Bytes of one example in all arrays. */
export function exampleBytes(plan: BatchPlan, length: number | null): number {
  return Object.values(rowBytes(plan, length)).reduce((sum, bytes) => sum + bytes, 0);
}

/** Rows that are made, sent and kept together: a whole batch, where it is small. */
export function rowsOfPiece(
  plan: BatchPlan,
  { count, length }: { count: number; length: number | null },
  bytes = pieceBytes,
): number {
  return Math.min(count, Math.max(1, Math.floor(bytes / exampleBytes(plan, length))));
}
