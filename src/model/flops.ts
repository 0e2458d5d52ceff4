import { patchGrid } from './parameters.ts';
import { embeddingWidth, type ModelConfig, type TowerSize } from './sizes.ts';

/**
 * A joint selection: each chunk but the last against what is then open, images with texts and texts with images, for
 * two models.
 */
export function selectionFlops(candidates: number, chunks: readonly number[], width: number): number {
  let open = candidates;
  return chunks.slice(0, -1).reduce((sum, chunk) => {
    open -= chunk;
    return sum + 2 * 2 * 2 * chunk * open * width;
  }, 0);
}

/** Blocks of `rows` = B N rows in sequences of `length`: projections, the two matmuls of attention, MLP. */
export function encoderFlops({ width, depth, mlp }: TowerSize, rows: number, length: number): number {
  const projections = 4 * 2 * rows * width * width;
  const attention = 2 * 2 * rows * length * width;
  return depth * (projections + attention + 2 * 2 * rows * width * mlp);
}

/** MAP head: keys and values of every row, one query of the probe for the whole batch. */
export function mapHeadFlops({ width, mlp }: TowerSize, batch: number, length: number): number {
  const projections = 2 * width * width * (2 * batch * length + batch + 1);
  return projections + 2 * 2 * batch * length * width + 2 * 2 * batch * width * mlp;
}

/**
 * Floating-point operations of a training step by the usual convention: only matmuls count, a multiplication and an
 * addition each (an (m, k) x (k, n) product is 2 m k n), and backward is twice forward. Softmax, norms, activations
 * and the optimiser are left out, so a share of the matmul peak can't reach 1.
 */
export function stepFlops(config: ModelConfig, batch: number): number {
  return 3 * (embedFlops(config, batch) + 2 * batch * batch * embeddingWidth(config));
}

/** Of embedding `batch` images, each with `texts` texts. */
export function embedFlops(config: ModelConfig, batch: number, texts = 1): number {
  const { vision, text } = config;
  const patches = patchGrid(config) ** 2;
  const rows = batch * patches;
  const words = encoderFlops(text, batch * text.length, text.length) + 2 * batch * text.width * embeddingWidth(config);
  return (
    2 * rows * 3 * vision.patch ** 2 * vision.width +
    encoderFlops(vision, rows, patches) +
    mapHeadFlops(vision, batch, patches) +
    texts * words
  );
}
