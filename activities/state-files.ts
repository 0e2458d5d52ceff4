import type { Manifest } from '../src/checkpoint/types.ts';

/** The buffers of the outer step, beside the state that replicas begin with. */
export const outerFile = 'outer.safetensors';

/** Files of a checkpoint that hold what is trained. */
export const stateFiles = ({ state }: Pick<Manifest, 'state'>): string[] =>
  state.map(({ path }) => path).filter((path) => path !== outerFile);
