import { randomStream } from '../runtime/random.ts';
import type { ParameterSpec } from './parameters.ts';

/** Deviation of a standard normal truncated at two deviations: jax's `variance_scaling` divides by it. */
const truncatedDeviation = 0.87962566103423978;

/** The first value of a parameter: a pure function of (seed, name), so the order of creation does not matter. */
export function initialise(seed: number, { name, shape, init }: ParameterSpec): Float32Array {
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  const random = randomStream(seed, `init/${name}`);
  switch (init.kind) {
    case 'constant':
      return values.fill(init.value);
    case 'normal':
      return values.map(() => init.std * random.normal());
    case 'xavier': {
      const limit = Math.sqrt(6 / (init.fanIn + init.fanOut));
      return values.map(() => limit * (2 * random.next() - 1));
    }
    case 'lecun': {
      const std = Math.sqrt(1 / init.fanIn) / truncatedDeviation;
      return values.map(() => {
        let draw = random.normal();
        while (Math.abs(draw) > 2) draw = random.normal();
        return std * draw;
      });
    }
  }
}
