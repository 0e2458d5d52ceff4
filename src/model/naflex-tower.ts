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
 * Letters: B images, L patches of the longest, P = 3 p p numbers of a patch, G side of the stored grid, D width.
 *
 * @param patches_BLP floats in [-1, 1], each patch in the order row, column, channel; padding is 0
 * @param mask_BL float32, 1 for a patch and 0 for padding: the first h w are patches
 * @param shapes_B2 int32 or float32, patches of an image as (h, w), both at least 1 and h w at most L
 */
export function naflexTower(
  p: Parameters,
  config: ModelConfig,
  patches_BLP: Tensor,
  mask_BL: Tensor,
  shapes_B2: Tensor,
  options: TowerOptions = {},
): VisionOutput {
  const { vision } = config;
  const [batch, length, size] = patches_BLP.shape as [number, number, number];
  const tokens_BLxD = linear(p, 'vision_model.embeddings.patch_embedding', patches_BLP.reshape([batch * length, size]));
  const table_GGxD = parameter(p, 'vision_model.embeddings.position_embedding.weight');
  const weights_BLxGG = positionWeights(mask_BL, shapes_B2, patchGrid(config));
  const x_BLxD = tokens_BLxD.add(tf.matMul(weights_BLxGG, table_GGxD)) as Tensor;
  const hidden_B11L = keyMask(mask_BL);
  const encoded = norm(
    p,
    'vision_model.post_layernorm',
    encoder(p, 'vision_model.encoder', vision, x_BLxD, batch, options, hidden_B11L),
  );
  return {
    mask: hidden_B11L,
    encoded,
    pooled: mapHead(p, 'vision_model.head', encoded, batch, vision.heads, hidden_B11L),
  };
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
export function positionWeights(mask_BL: Tensor, shapes_B2: Tensor, grid: number): Tensor {
  const [batch, length] = mask_BL.shape as [number, number];
  const [heights_B1, widths_B1] = tf.split(shapes_B2.cast('float32'), 2, 1) as [Tensor, Tensor];
  const index_BL = tf.range(0, length, 1, 'float32').mul(mask_BL) as Tensor;
  // The half keeps a quotient that should be whole from being rounded below it.
  const row_BL = index_BL.add(0.5).div(widths_B1).floor();
  const column_BL = index_BL.sub(row_BL.mul(widths_B1));
  const byRow = axisWeights(row_BL as Tensor, heights_B1, grid).reshape([batch, length, grid, 1]);
  const byColumn = axisWeights(column_BL as Tensor, widths_B1, grid).reshape([batch, length, 1, grid]);
  return byRow.mul(byColumn).reshape([batch * length, grid * grid]);
}

/** Shares of `grid` stored places in the place `at` of `size`: (B, L) and (B, 1) -> (B, L, G). */
function axisWeights(at_BL: Tensor, size_B1: Tensor, grid: number): Tensor {
  const scale_B1 = tf.scalar(grid).div(size_B1) as Tensor;
  const centre_BL1 = at_BL
    .add(0.5)
    .mul(scale_B1)
    .reshape([...at_BL.shape, 1]);
  const radius_B11 = tf.maximum(scale_B1, 1).reshape([-1, 1, 1]);
  const distance_BLG = tf.range(0, grid, 1, 'float32').add(0.5).sub(centre_BL1).abs();
  const weight_BLG = tf.relu(tf.scalar(1).sub(distance_BLG.div(radius_B11)));
  return weight_BLG.div(weight_BLG.sum(2, true));
}
