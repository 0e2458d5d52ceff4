import { blockOf, isMeant, type Stack } from '../model/parameter-parts.ts';
import type { PhaseState } from './phase-state.ts';

/** What of a stack of blocks the backward pass goes through. */
export interface Reach {
  /** Blocks, from the last one down to the lowest that anything is trained in or below. */
  readonly through: number;
  /** Blocks' worth of matrices that have gradients. */
  readonly weights: number;
  /** Whether it goes on below the blocks, or is needed at all above them. */
  readonly any: boolean;
}

/** Of a tower or of the decoder with so many blocks. */
export function reachOf(
  { parameters, frozen }: Pick<PhaseState, 'parameters' | 'frozen'>,
  stack: Stack,
  depth: number,
): Reach {
  const own = parameters.filter(({ name }) => isMeant(ownerOf[stack], name));
  const trained = own.filter(({ name }) => !frozen.has(name));
  const embeddings = (name: string) => /^(vision_model|text_model)\.embeddings\.|^decoder\.embed_/.test(name);
  const lowest = trained.reduce((least, { name }) => {
    const block = blockOf(name);
    return block ? Math.min(least, block.index) : embeddings(name) ? 0 : least;
  }, depth);
  // The decoder is on the way to the image tower.
  const passed = stack === 'decoder' && parameters.some(({ name }) => isEncoderOf(name) && !frozen.has(name));
  const inBlocks = (of: typeof own) =>
    of.reduce(
      (sum, { name, shape }) => sum + (blockOf(name) && shape.length > 1 ? shape.reduce((a, b) => a * b, 1) : 0),
      0,
    );
  const all = inBlocks(own);
  return {
    through: passed ? depth : depth - lowest,
    weights: all === 0 ? 0 : (depth * inBlocks(trained)) / all,
    any: passed || trained.length > 0,
  };
}

const ownerOf = { imageBlocks: 'vision', textBlocks: 'text', decoder: 'decoder' } as const;
const isEncoderOf = (name: string) => isMeant('vision', name) && !isMeant('mapHead', name);
