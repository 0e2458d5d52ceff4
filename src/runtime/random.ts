/**
 * All randomness of a run. A stream is a pure function of (seed, purpose, counters), so that nothing about
 * random numbers is ever stored: example k of a phase draws the same numbers on any machine, after any resume.
 */
export interface RandomStream {
  /** Uniform in [0, 1), 32 bits of it. */
  next(): number;
  /** Uniform integer in [0, n). */
  below(n: number): number;
  /** Standard normal (Box-Muller; one draw of it uses two uniforms). */
  normal(): number;
}

/** The finaliser of MurmurHash3: every input bit changes every output bit. */
function mix(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

/** `purpose` keeps draws for different things apart; `counters` are step, epoch, example index and the like. */
export function randomStream(seed: number, purpose: string, ...counters: number[]): RandomStream {
  let h = mix(seed ^ 0x9e3779b9);
  for (let i = 0; i < purpose.length; i++) h = mix(h ^ Math.imul(purpose.charCodeAt(i) + 1, 0x9e3779b1));
  // Counters may pass 2^32 in long runs: both halves are mixed in.
  for (const counter of counters) {
    h = mix(h ^ Math.imul((counter % 2 ** 32) + 0x7f4a7c15, 0x85ebca77));
    h = mix(h + Math.floor(counter / 2 ** 32) + 0x165667b1);
  }
  let a = mix(h + 1);
  let b = mix(h + 2);
  let c = mix(h + 3);
  let d = 1;
  // sfc32 of Chris Doty-Humphrey's PractRand.
  const next32 = () => {
    const t = (a + b + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + t;
    c |= 0;
    return t >>> 0;
  };
  for (let i = 0; i < 12; i++) next32();
  const next = () => next32() / 2 ** 32;
  return {
    next,
    below: (n) => Math.floor(next() * n),
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
  };
}

/** A uniformly drawn order of 0..n-1 (Fisher-Yates). */
export function permutation(n: number, stream: RandomStream): Uint32Array {
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    const j = stream.below(i + 1);
    const swapped = order[i]!;
    order[i] = order[j]!;
    order[j] = swapped;
  }
  return order;
}

/** A permutation that is asked for one place at a time: for each of 0..n-1 another of them. */
export type Bijection = (i: number) => number;

/** Below it an array costs less than what spares it. */
const smallBijection = 64;
const rounds = 6;

/**
 * A drawn order of 0..n-1, n at most 2^31, without an array of them: a Feistel network over the next power of four, whose
 * results beyond n are put through it again (Black and Rogaway, "Ciphers with arbitrary finite domains", 2002).
 */
export function bijection(n: number, stream: RandomStream): Bijection {
  if (n <= smallBijection) {
    const order = permutation(n, stream);
    return (i) => order[i]!;
  }
  const half = Math.ceil(Math.log2(n) / 2);
  const mask = 2 ** half - 1;
  const keys = Uint32Array.from({ length: rounds }, () => stream.next() * 2 ** 32);
  return (i) => {
    let at = i;
    do {
      let left = Math.floor(at / 2 ** half);
      let right = at & mask;
      for (const key of keys) [left, right] = [right, left ^ (mix(right ^ key) & mask)];
      at = left * 2 ** half + right;
    } while (at >= n);
    return at;
  };
}
