/** Which rows of a table are meant: a bit for each, the lowest first, 32 kB for 256,000. Bits past the last are 0. */
export class RowSet {
  readonly rows: number;
  readonly bits: Uint8Array;

  constructor(rows: number, bits: Uint8Array = new Uint8Array(Math.ceil(rows / 8))) {
    this.rows = rows;
    this.bits = bits;
  }

  /** Whether bytes can be the bits of so many rows. */
  static fits(rows: number, bits: Uint8Array): boolean {
    if (bits.length !== Math.ceil(rows / 8)) return false;
    return rows % 8 === 0 || bits.at(-1)! >> (rows % 8) === 0;
  }

  add(row: number): void {
    this.bits[row >> 3]! |= 1 << (row & 7);
  }

  has(row: number): boolean {
    return ((this.bits[row >> 3]! >> (row & 7)) & 1) === 1;
  }

  /** All of another set of the same table. */
  addAll({ bits }: RowSet): void {
    for (let i = 0; i < bits.length; i++) this.bits[i]! |= bits[i]!;
  }

  /** How many are in it, of the rows below `end`. */
  count(end = this.rows): number {
    let count = 0;
    for (let byte = 0; byte < end >> 3; byte++) count += ones[this.bits[byte]!]!;
    for (let row = end & ~7; row < end; row++) if (this.has(row)) count++;
    return count;
  }
}

const ones = Uint8Array.from({ length: 256 }, (_, byte) => {
  let count = 0;
  for (let rest = byte; rest > 0; rest >>= 1) count += rest & 1;
  return count;
});
