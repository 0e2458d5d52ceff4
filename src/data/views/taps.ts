/** How much a pixel counts that is so many pixels away, as in Pillow's Resample.c; nothing beyond `radius`. */
const kernels = {
  bilinear: { radius: 1, share: (x: number) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { radius: 2, share: bicubic },
  box: { radius: 0.5, share: (x: number) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  hamming: { radius: 1, share: hamming },
  lanczos: { radius: 3, share: (x: number) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
};
export type Kernel = keyof typeof kernels;

/** For each place of a resized side: the first pixel that it takes from, and the shares of it and the next ones. */
export interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** `reach` of them for each place, in fixed point; 0 beyond its count. */
  readonly shares: Int32Array;
  readonly reach: number;
}

/** Pillow's fixed point: shares of a byte in 22 bits, so that 255 times their sum fits 31. */
export const shareBits = 22;
const one = 2 ** shareBits;

/** A side of `from` pixels made one of `to`, by a kernel that widens when the image shrinks. */
export function tapsOf(from: number, to: number, kernel: Kernel): Taps {
  const scale = from / to;
  const stretched = Math.max(scale, 1);
  const { radius, share } = kernels[kernel];
  const around = radius * stretched;
  // Taps are taken by fours.
  const reach = 4 * Math.ceil((2 * Math.ceil(around) + 1) / 4);
  const [first, count, shares] = [new Int32Array(to), new Int32Array(to), new Int32Array(to * reach)];
  const exact = new Float64Array(reach);
  for (let i = 0; i < to; i++) {
    const centre = (i + 0.5) * scale;
    const start = Math.max(0, Math.trunc(centre - around + 0.5));
    const taken = Math.min(from, Math.trunc(centre + around + 0.5)) - start;
    let sum = 0;
    for (let k = 0; k < taken; k++) {
      const value = share((k + start - centre + 0.5) / stretched);
      exact[k] = value;
      sum += value;
    }
    for (let k = 0; k < taken; k++) {
      const value = exact[k]! / sum;
      shares[i * reach + k] = Math.trunc((value < 0 ? -0.5 : 0.5) + value * one);
    }
    first[i] = start;
    count[i] = taken;
  }
  return { first, count, shares, reach };
}

/** Those of the same side with its end first. */
export function mirrored({ first, count, shares, reach }: Taps): Taps {
  const turned = new Int32Array(shares.length);
  for (let i = 0; i < first.length; i++)
    turned.set(shares.subarray(i * reach, (i + 1) * reach), (first.length - 1 - i) * reach);
  return { first: first.slice().reverse(), count: count.slice().reverse(), shares: turned, reach };
}

/** Keys' kernel with a = -0.5. */
function bicubic(away: number): number {
  const [a, x] = [-0.5, Math.abs(away)];
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

function hamming(away: number): number {
  const x = Math.abs(away);
  if (x === 0) return 1;
  return x >= 1 ? 0 : (Math.sin(x * Math.PI) / (x * Math.PI)) * (0.54 + 0.46 * Math.cos(x * Math.PI));
}

const sinc = (x: number) => (x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI));
