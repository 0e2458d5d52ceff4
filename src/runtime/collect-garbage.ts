import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

let collect: (() => void) | null = null;

/**
 * Frees what JavaScript no longer uses, now. The arrays of a state lie outside the heap that Node watches, so that a
 * trainer, which allocates next to nothing between two checkpoints, would hold their gigabytes until the next one.
 * The caller must hold them no longer: not even in a variable of the function that calls.
 */
export function collectGarbage(): void {
  if (collect === null) {
    setFlagsFromString('--expose-gc');
    collect = runInNewContext('gc') as () => void;
  }
  collect();
}
