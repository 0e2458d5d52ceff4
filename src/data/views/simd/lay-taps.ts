import type { Taps } from '../taps.ts';
import { lowBits } from './kernels.ts';
import type { Simd } from './memory.ts';

/** What `resizeLine` is told of the taps of columns: `table` has two numbers for each. */
export function layTable(at: Simd, table: number, columnShares: number, { first, count, shares }: Taps): void {
  layShares(at.words(columnShares, 2 * shares.length), shares);
  const entries = at.ints(table, 2 * first.length);
  for (let x = 0; x < first.length; x++) {
    entries[2 * x] = first[x]! * 3;
    entries[2 * x + 1] = Math.ceil(count[x]! / 4) * 16;
  }
}

const lowMask = (1 << lowBits) - 1;

/** Of four shares the high bits, and then the low ones: each fits sixteen bits with a sign. */
function layShares(to: Int16Array, shares: Int32Array): void {
  for (let i = 0; i < shares.length; i += 4)
    for (let k = 0; k < 4; k++) {
      const share = shares[i + k]!;
      to[2 * i + k] = share >> lowBits;
      to[2 * i + 4 + k] = share & lowMask;
    }
}
