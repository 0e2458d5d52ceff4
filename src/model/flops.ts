import { patchGrid } from './parameters.ts';
import { embeddingWidth, type ModelConfig, type TowerSize } from './sizes.ts';

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
  const { vision, text } = config;
  const patches = patchGrid(config) ** 2;
  const rows = batch * patches;
  const forward =
    2 * rows * 3 * vision.patch ** 2 * vision.width +
    encoderFlops(vision, rows, patches) +
    mapHeadFlops(vision, batch, patches) +
    encoderFlops(text, batch * text.length, text.length) +
    2 * batch * text.width * embeddingWidth(config) +
    2 * batch * batch * embeddingWidth(config);
  return 3 * forward;
}
