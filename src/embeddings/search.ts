import { dot, type Matrix, rowCount, unitRows } from '../evaluate/numbers/matrix.ts';
import { nearestOf, productError } from '../evaluate/numbers/nearest.ts';
import type { Pause } from '../evaluate/numbers/pause.ts';
import type { RowBlock, RowKey } from './rows.ts';

export interface Found extends RowKey {
  /** In double precision. */
  readonly cosine: number;
}

/** Rows that the device finds beyond those that decide, so that what it rounds away rarely matters. */
const spare = 6;

/**
 * The `top` rows nearest to a query, nearest first; of equal ones that whose key is first. Exact: the device finds candidates
 * block by block, and what may decide is compared in double precision, as ranks of evaluations are. A block and the answer
 * are in memory, whatever there is of rows.
 *
 * @param query (1, D), of length 1
 */
export async function nearestRows(
  blocks: AsyncIterable<RowBlock>,
  query: Matrix,
  { top, device, pause }: { readonly top: number; readonly device: 'cpu' | 'gpu'; readonly pause: Pause },
): Promise<Found[]> {
  const best: Found[] = [];
  const error = productError(query.width, device);
  const least = () => (best.length < top ? Number.NEGATIVE_INFINITY : best.at(-1)!.cosine);
  const add = (block: RowBlock, unit: Matrix, row: number) => {
    const cosine = dot(query, 0, unit, row);
    if (cosine < least()) return;
    const found = { ...block.keyOf(row), cosine };
    if (best.length === top && order(found, best.at(-1)!) >= 0) return;
    const at = best.findIndex((other) => order(found, other) < 0);
    best.splice(at < 0 ? best.length : at, 0, found);
    if (best.length > top) best.pop();
  };
  for await (const block of blocks) {
    // Rows of length 1 in single precision are so in double precision to 1e-7: cosines are of what is exactly so.
    const unit = unitRows(block);
    const rows = rowCount(unit);
    const { k, scores, places } = await nearestOf(query, unit, Math.min(rows, top + spare), pause);
    let told = true;
    for (let i = 0; i < k && told; i++) {
      // Those behind have no larger products.
      told = scores[i]! >= least() - error;
      if (told) add(block, unit, places[i]!);
    }
    const listed = new Set(places);
    // More than were found may be as near as the last of them, such as copies of one picture.
    if (told && k < rows) for (let row = 0; row < rows; row++) if (!listed.has(row)) add(block, unit, row);
    await pause();
  }
  return best;
}

/** Nearest first, then by key. */
function order(a: Found, b: Found): number {
  return (
    b.cosine - a.cosine ||
    compare(a.shard, b.shard) ||
    compare(a.name, b.name) ||
    compare(a.language ?? '', b.language ?? '') ||
    (a.caption ?? 0) - (b.caption ?? 0)
  );
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
