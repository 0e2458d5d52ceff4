import type { GridSize } from '../../metrics/grid.ts';
import type { PartFile } from './part-file.ts';

/** Rows and columns of the patches of each picture of a part at a view, of which `length` are stored: a square where nothing else is. */
export async function gridsOf(part: PartFile, view: string, length: number): Promise<(picture: number) => GridSize> {
  const name = `grid/${view}`;
  if (part.has(name)) {
    const stored = await part.integers(name);
    return (picture) => ({ height: stored[2 * picture]!, width: stored[2 * picture + 1]! });
  }
  const side = Math.sqrt(length);
  return () => ({ height: side, width: side });
}
