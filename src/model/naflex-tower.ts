import type { Tensor } from '@tensorflow/tfjs';
import { tf } from '../runtime/tensorflow.ts';
import { encoder, keyMask, linear, norm, type Parameters, parameter, type TowerOptions } from './layers.ts';
import { patchGrid } from './parameters.ts';
import type { ModelConfig } from './sizes.ts';
import { mapHead, normalisePixels, type VisionOutput } from './vision-tower.ts';

/**
 * The NaFlex image tower: images of any shape as rows of patches. big_vision `models/proj/image_text/naflex_vit.py`,
 * transformers `Siglip2VisionTransformer`. Rows of `encoded` that stand for padding hold what transformers gives
 * there; nobody may read them.
 *
 * @param patches (B, L, p p 3) floats in [-1, 1], each patch in the order row, column, channel; padding is 0
 * @param mask (B, L) float32, 1 for a patch and 0 for padding: the first h w are patches
 * @param spatialShapes (B, 2) int32 or float32, patches of an image as (h, w), both at least 1 and h w at most L
 */
export function naflexTower(
  p: Parameters,
  config: ModelConfig,
  patches: Tensor,
  mask: Tensor,
  spatialShapes: Tensor,
  options: TowerOptions = {},
): VisionOutput {
  const { vision } = config;
  const [batch, length, size] = patches.shape as [number, number, number];
  const tokens = linear(p, 'vision_model.embeddings.patch_embedding', patches.reshape([batch * length, size]));
  const table = parameter(p, 'vision_model.embeddings.position_embedding.weight');
  const weights = positionWeights(mask, spatialShapes, patchGrid(config));
  const x = tokens.add(tf.matMul(weights, table)) as Tensor;
  const hidden = keyMask(mask);
  const encoded = norm(
    p,
    'vision_model.post_layernorm',
    encoder(p, 'vision_model.encoder', vision, x, batch, options, hidden),
  );
  return { mask: hidden, encoded, pooled: mapHead(p, 'vision_model.head', encoded, batch, vision.heads, hidden) };
}

/** Patches of bytes 0..255 to [-1, 1], padding to 0: (B, L, p p 3) and (B, L) -> (B, L, p p 3). */
export function normalisePatches(bytes: Tensor, mask: Tensor): Tensor {
  return normalisePixels(bytes).mul(mask.reshape([...mask.shape, 1]));
}

/**
 * The antialiased bilinear resize of a grid of position embeddings to the shape of each image, as a linear map: row
 * (b, i) holds the share of each stored position in that of patch i. (B, L), (B, 2) -> (B L, grid^2). The shapes are
 * values of a compiled graph, so no tensor can have them.
 *
 * Half-pixel centres, triangle kernel of radius max(1, grid / size), weights renormalised at the borders: torch
 * `F.interpolate(mode="bilinear", antialias=True)`, `jax.image.scale_and_translate`. Padding gets the weights of
 * patch 0, as in transformers. (For images a single patch wide torch on CPUs repeats the first row down the whole
 * column, seen with 2.15; this does not.)
 */
export function positionWeights(mask: Tensor, spatialShapes: Tensor, grid: number): Tensor {
  const [batch, length] = mask.shape as [number, number];
  const [heights, widths] = tf.split(spatialShapes.cast('float32'), 2, 1) as [Tensor, Tensor]; // (B, 1)
  const index = tf.range(0, length, 1, 'float32').mul(mask) as Tensor;
  // The half keeps a quotient that should be whole from being rounded below it.
  const row = index.add(0.5).div(widths).floor();
  const column = index.sub(row.mul(widths));
  const byRow = axisWeights(row as Tensor, heights, grid).reshape([batch, length, grid, 1]);
  const byColumn = axisWeights(column as Tensor, widths, grid).reshape([batch, length, 1, grid]);
  return byRow.mul(byColumn).reshape([batch * length, grid * grid]);
}

/** Shares of `grid` stored places in the place `at` of `size`: (B, L) and (B, 1) -> (B, L, grid). */
function axisWeights(at: Tensor, size: Tensor, grid: number): Tensor {
  const scale = tf.scalar(grid).div(size) as Tensor;
  const centre = at
    .add(0.5)
    .mul(scale)
    .reshape([...at.shape, 1]);
  const radius = tf.maximum(scale, 1).reshape([-1, 1, 1]);
  const distance = tf.range(0, grid, 1, 'float32').add(0.5).sub(centre).abs();
  const weight = tf.relu(tf.scalar(1).sub(distance.div(radius)));
  return weight.div(weight.sum(2, true));
}
