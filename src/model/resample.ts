import { RunnerError } from '../runtime/errors.ts';
import { patchGrid } from './parameters.ts';
import type { ModelConfig } from './sizes.ts';

/**
 * How values on a grid become values on another one. bilinear: half-pixel centres, `tf.image.resize`, torch
 * `F.interpolate`. antialias: the same with a triangle kernel that widens when the grid shrinks, `jax.image.resize`.
 * align-corners: first on first and last on last, `scipy.ndimage.zoom(order=1)`, as big_vision `resample_posemb`.
 */
export type ResizeKernel = 'bilinear' | 'antialias' | 'align-corners';

/** Resizing a row of `from` values to `to` values, as a matrix (to, from), row by row; rows add up to 1. */
export function bilinearMatrix(from: number, to: number, kernel: ResizeKernel = 'bilinear'): Float64Array {
  const matrix = new Float64Array(to * from);
  const scale = kernel === 'align-corners' ? (to === 1 ? 0 : (from - 1) / (to - 1)) : from / to;
  const radius = kernel === 'antialias' ? Math.max(1, scale) : 1;
  for (let i = 0; i < to; i++) {
    const place = kernel === 'align-corners' ? i * scale : (i + 0.5) * scale - 0.5;
    const row = matrix.subarray(i * from, (i + 1) * from);
    for (let j = 0; j < from; j++) row[j] = Math.max(0, 1 - Math.abs(j - place) / radius);
    // Beyond the border there is nothing to average with.
    const sum = row.reduce((a, b) => a + b);
    for (let j = 0; j < from; j++) row[j]! /= sum;
  }
  return matrix;
}

/**
 * Position embeddings of another grid: (from^2, D) -> (to^2, D). Which kernel SigLIP 2 was made with is not
 * published; half-pixel bilinear is the default here.
 */
export function resizePositions(
  table: Float32Array,
  from: number,
  to: number,
  kernel: ResizeKernel = 'bilinear',
): Float32Array {
  return alongBothSides(table, bilinearMatrix(from, to, kernel), from, to, table.length / from ** 2);
}

/**
 * PI-resize of a patch embedding to patches of another size (FlexiViT, arXiv 2212.08013 section 3.4; big_vision
 * `resample_patchemb`): pinv(B^T) w for each channel, B being the bilinear resize of a patch, so that larger patches
 * get the very embeddings that the smaller ones got. The bias stays. Channels come before the pixels of a patch
 * ((D, 3, p, p), SiglipModel) or after them ((D, p p 3), Siglip2Model).
 */
export function resizePatchEmbedding(
  weight: Float32Array,
  from: number,
  to: number,
  channels: 'first' | 'last',
): Float32Array {
  // The two sides of a patch are resized apart, and the pseudo-inverse of a Kronecker product is that of its factors.
  const inverse = transposedPseudoInverse(bilinearMatrix(from, to), from, to);
  return alongBothSides(weight, inverse, from, to, channels === 'first' ? 1 : 3);
}

/**
 * The tensors of a model that are others in `to`, by name: positions of another grid, a patch embedding of another
 * patch size or of the other kind of tower. Everything else is as it was. Adam's moments of these tensors start
 * from zero again: a resized second moment estimates no gradient's square, and which way SigLIP 2 took is not
 * published. Throws RecipeInvalid where no resampling leads from one to the other.
 */
export function resampleParameters(
  values: (name: string) => Float32Array,
  from: ModelConfig,
  to: ModelConfig,
  kernel: ResizeKernel = 'bilinear',
): Record<string, Float32Array> {
  for (const field of ['width', 'depth', 'mlp', 'heads'] as const) {
    if (from.vision[field] === to.vision[field]) continue;
    throw new RunnerError(
      'RecipeInvalid',
      `model.vision.${field} is ${to.vision[field]}, but the model to start from has ${from.vision[field]}: ` +
        'only resolution, patch size and kind can change between phases',
    );
  }
  const changed: Record<string, Float32Array> = {};
  const [oldGrid, newGrid] = [patchGrid(from), patchGrid(to)];
  if (oldGrid !== newGrid) {
    const name = 'vision_model.embeddings.position_embedding.weight';
    changed[name] = resizePositions(values(name), oldGrid, newGrid, kernel);
  }
  const name = 'vision_model.embeddings.patch_embedding.weight';
  const order = (config: ModelConfig) => (config.vision.kind === 'naflex' ? 'last' : 'first');
  const { patch } = to.vision;
  const original = values(name);
  let weight = original;
  if (from.vision.patch !== patch) weight = resizePatchEmbedding(weight, from.vision.patch, patch, order(from));
  if (order(from) !== order(to)) {
    weight = order(to) === 'last' ? swapped(weight, 3, patch ** 2) : swapped(weight, patch ** 2, 3);
  }
  if (weight !== original) changed[name] = weight;
  return changed;
}

/** (..., rows, columns) -> (..., columns, rows) */
function swapped(values: Float32Array, rows: number, columns: number): Float32Array {
  return values.map((_, at) => {
    const place = at % (rows * columns);
    return values[at - place + (place % rows) * columns + Math.floor(place / rows)]!;
  });
}

/** A (to, from) matrix along the two middle axes: (..., from, from, inner) -> (..., to, to, inner). */
function alongBothSides(values: Float32Array, matrix: Float64Array, from: number, to: number, inner: number) {
  const outer = values.length / (from * from * inner);
  const rows = alongOne(Float64Array.from(values), matrix, from, to, outer, from * inner);
  return Float32Array.from(alongOne(rows, matrix, from, to, outer * to, inner));
}

/** (outer, from, inner) -> (outer, to, inner) */
function alongOne(
  values: Float64Array,
  matrix: Float64Array,
  from: number,
  to: number,
  outer: number,
  inner: number,
): Float64Array {
  const result = new Float64Array(outer * to * inner);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < to; i++) {
      for (let j = 0; j < from; j++) {
        const weight = matrix[i * from + j]!;
        if (weight === 0) continue;
        const [source, target] = [(o * from + j) * inner, (o * to + i) * inner];
        for (let k = 0; k < inner; k++) result[target + k]! += weight * values[source + k]!;
      }
    }
  }
  return result;
}

/** pinv(R^T) of a (to, from) matrix R of full rank, again (to, from): R (R^T R)^-1 or (R R^T)^-1 R. */
function transposedPseudoInverse(matrix: Float64Array, from: number, to: number): Float64Array {
  const at = (i: number, j: number) => matrix[i * from + j]!;
  const size = Math.min(from, to);
  const [short, long] = to < from ? [at, from] : [(i: number, j: number) => at(j, i), to];
  // Rows of [G | S], S (size, long) and G = S S^T, become rows of [1 | G^-1 S].
  const rows = Array.from({ length: size }, (_, i) =>
    Float64Array.from({ length: size + long }, (_, j) => {
      if (j >= size) return short(i, j - size);
      let sum = 0;
      for (let k = 0; k < long; k++) sum += short(i, k) * short(j, k);
      return sum;
    }),
  );
  // G is positive definite: elimination needs no exchange of rows.
  for (let pivot = 0; pivot < size; pivot++) {
    const top = rows[pivot]!;
    const divisor = top[pivot]!;
    for (let j = 0; j < top.length; j++) top[j]! /= divisor;
    for (const row of rows) {
      const factor = row[pivot]!;
      if (row === top || factor === 0) continue;
      for (let j = 0; j < row.length; j++) row[j]! -= factor * top[j]!;
    }
  }
  return matrix.map((_, place) => {
    const [i, j] = [Math.floor(place / from), place % from];
    return to < from ? rows[i]![size + j]! : rows[j]![size + i]!;
  });
}
