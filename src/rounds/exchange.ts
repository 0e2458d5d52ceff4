/** How the numbers of a round's change are written. */
export const exchanges = ['f32', 'bf16', 'int8', 'int4'] as const;
export type Exchange = (typeof exchanges)[number];

/** Numbers that share a scale where a parameter has no rows of tokens: tensors differ by orders within themselves. */
export const blockSize = 4096;

/** The largest code of a type of codes: they are whole numbers from -levels to levels. */
export const levels = { int8: 127, int4: 7 } as const;
export type Coded = keyof typeof levels;
export const isCoded = (exchange: Exchange): exchange is Coded => exchange === 'int8' || exchange === 'int4';

const scaleBytes = 4;

/** Bytes of a block of `count` numbers: its scale in f32, where there is one, and its codes. */
export function blockBytes(exchange: Exchange, count: number): number {
  if (exchange === 'f32') return 4 * count;
  if (exchange === 'bf16') return 2 * count;
  return scaleBytes + (exchange === 'int8' ? count : Math.ceil(count / 2));
}

/** Bytes of `count` numbers in blocks of `block`, of which the last may be shorter. */
export function packedBytes(exchange: Exchange, count: number, block: number): number {
  if (count === 0) return 0;
  const whole = Math.floor(count / block);
  const rest = count - whole * block;
  return whole * blockBytes(exchange, block) + (rest > 0 ? blockBytes(exchange, rest) : 0);
}
