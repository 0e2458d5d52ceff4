import { randomStream } from '../../src/runtime/random.ts';

/** How changes are exchanged, by what src/rounds/README.md says of it and by no code of that folder. */
export type SlowExchange = 'f32' | 'bf16' | 'int8' | 'int4';

/** Who rounds what: what chance is drawn from. */
export interface Chance {
  readonly seed: number;
  readonly round: number;
  readonly who: number | 'merged';
  readonly parameter: string;
}

/** What is read of `values` after they were exchanged in blocks of `block` numbers, the first of them at this place. */
export function slowlyRounded(exchange: SlowExchange, values: number[], block: number, first: number, chance: Chance) {
  const { seed, round, who, parameter } = chance;
  const stream =
    who === 'merged'
      ? randomStream(seed, `merged ${parameter}`, round)
      : randomStream(seed, `replica ${parameter}`, round, who);
  const keys = [BigInt(stream.next() * 2 ** 32), BigInt(stream.next() * 2 ** 32)] as const;
  const out: number[] = [];
  for (let from = 0; from < values.length; from += block) {
    const own = values.slice(from, from + block);
    const scale = exchange === 'int8' ? scaleOf(own, 127) : exchange === 'int4' ? scaleOf(own, 7) : 0;
    for (const [i, x] of own.entries()) {
      const u = uniform(first + from + i, keys);
      if (exchange === 'f32') out.push(Math.fround(x));
      else if (exchange === 'bf16') out.push(bfloat16(Math.fround(x), u));
      else out.push(scale === 0 ? 0 : Math.floor(x / scale + u) * scale);
    }
  }
  return out;
}

/** The least f32 that largest / most does not go beyond, found by halving between two that enclose it. */
function scaleOf(values: readonly number[], most: number): number {
  let largest = 0;
  for (const x of values) if (Math.abs(x) > largest) largest = Math.abs(x);
  if (largest === 0) return 0;
  // Positive f32 are in the order of their bits.
  const float = (bits: number) => new DataView(Uint32Array.of(bits).buffer).getFloat32(0, true);
  let [below, enough] = [0, 0x7f7fffff];
  while (enough - below > 1) {
    const middle = Math.floor((below + enough) / 2);
    if (float(middle) * most >= largest) enough = middle;
    else below = middle;
  }
  return float(enough);
}

/** Up or down to a neighbour of eight bits, up with the chance that it is nearer by, in steps of 2^-16. */
function bfloat16(x: number, u: number): number {
  const size = Math.abs(x);
  if (size === 0) return x;
  const ulp = 2 ** (Math.max(Math.floor(Math.log2(size)), -126) - 7);
  const low = Math.floor(size / ulp) * ulp;
  const up = Math.floor(u * 65536) >= 65536 - ((size - low) / ulp) * 65536;
  return Math.sign(x) * (up ? low + ulp : low);
}

const word = 2n ** 32n;

/** The finaliser of MurmurHash3 and another of its kind, in whole numbers of any size. */
function uniform(place: number, [a, b]: readonly [bigint, bigint]): number {
  let h = (BigInt(place) + a) % word;
  h ^= h >> 16n;
  h = (h * 0x85ebca6bn) % word;
  h ^= h >> 13n;
  h = (h * 0xc2b2ae35n) % word;
  h ^= (h >> 16n) ^ b;
  h ^= h >> 16n;
  h = (h * 0x7feb352dn) % word;
  h ^= h >> 15n;
  h = (h * 0x846ca68bn) % word;
  h ^= h >> 16n;
  return Number(h) / 2 ** 32;
}
