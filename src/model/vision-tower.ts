import type { Tensor } from '@tensorflow/tfjs';
import { bytesToFloat } from '../compile/ops/bytes-to-float.ts';
import { repeatRows } from '../compile/ops/repeat-rows.ts';
import { tf } from '../runtime/tensorflow.ts';
import {
  affine,
  attend,
  encoder,
  linear,
  mlp,
  norm,
  type Parameters,
  parameter,
  projectHeads,
  scaled,
  type TowerOptions,
} from './layers.ts';
import { patchGrid } from './parameters.ts';
import { bilinearMatrix } from './resample.ts';
import type { ModelConfig } from './sizes.ts';

export interface VisionOutput {
  /** Of images of any shape: added to the scores of whoever attends to `encoded`, (B, 1, 1, L), hides padding. */
  readonly mask?: Tensor;
  /** (B N, D) encoder output after the last layer norm: `last_hidden_state`, what decoders and probes read. */
  readonly encoded: Tensor;
  /** (B, D) output of the MAP head: `pooler_output`, not normalised. */
  readonly pooled: Tensor;
}

// Letters: B images, R side in pixels, G side in patches, N = G G patches, P = 3 p p numbers of a patch, D width, H heads.

/** Bytes 0..255 to [-1, 1], as big_vision's `value_range(-1, 1)`. */
export const normalisePixels = (bytes: Tensor): Tensor => bytesToFloat(bytes).div(127.5).sub(1) as Tensor;

export interface VisionOptions extends TowerOptions {
  /** Puts `token` (D) in place of the embedded patches where `at` (B N, 1) is 1 and not 0, before positions are added. */
  readonly mask?: { readonly token: Tensor; readonly at: Tensor };
}

/**
 * The fixed-resolution image tower: (B, R, R, 3) floats in [-1, 1] -> features. big_vision `models/vit.py`
 * with pool_type "map"; transformers `SiglipVisionTransformer`. Images of another resolution than the model's, such
 * as local views, get its positions resized to their grid.
 */
export function visionTower(
  p: Parameters,
  config: ModelConfig,
  images_BRR3: Tensor,
  { mask, ...options }: VisionOptions = {},
): VisionOutput {
  const { vision } = config;
  // Its patch embedding has as many numbers, in another order.
  if (vision.kind === 'naflex') throw new Error('a NaFlex model sees patches, not squares: use naflexTower');
  const batch = images_BRR3.shape[0]!;
  const { patch, width } = vision;
  const resolution = images_BRR3.shape[1]!;
  const grid = Math.floor(resolution / patch);
  const covered = grid * patch;
  const pixels_BRR3 =
    covered === resolution ? images_BRR3 : tf.slice(images_BRR3, [0, 0, 0, 0], [batch, covered, covered, 3]);
  // Rows of patches in the order of the convolution's weight: channel, then row, then column.
  const patches_BNxP = pixels_BRR3
    .reshape([batch, grid, patch, grid, patch, 3])
    .transpose([0, 1, 3, 5, 2, 4])
    .reshape([batch * grid * grid, 3 * patch * patch]);
  const embedding = 'vision_model.embeddings';
  const weight_DP = parameter(p, `${embedding}.patch_embedding.weight`).reshape([width, 3 * patch * patch]);
  const tokens_BNxD = affine(patches_BNxP, weight_DP, parameter(p, `${embedding}.patch_embedding.bias`));
  const positions_ND = positionsOf(parameter(p, `${embedding}.position_embedding.weight`), patchGrid(config), grid);
  const seen_BNxD = mask ? tokens_BNxD.mul(tf.scalar(1).sub(mask.at)).add(mask.at.mul(mask.token)) : tokens_BNxD;
  const x_BNxD = seen_BNxD
    .reshape([batch, grid * grid, width])
    .add(positions_ND)
    .reshape([batch * grid * grid, width]);
  const encoded = norm(
    p,
    'vision_model.post_layernorm',
    encoder(p, 'vision_model.encoder', vision, x_BNxD, batch, options),
  );
  return { encoded, pooled: mapHead(p, 'vision_model.head', encoded, batch, vision.heads) };
}

/** Half-pixel bilinear resize of position embeddings as a linear map that gradients pass: F F places to T T. */
function positionsOf(table_FFxD: Tensor, from: number, to: number): Tensor {
  if (from === to) return table_FFxD;
  const side_TF = tf.tensor2d(Float32Array.from(bilinearMatrix(from, to)), [to, from]);
  const rows_TFD = tf.matMul(side_TF, table_FFxD.reshape([from, -1])).reshape([to, from, -1]);
  const columns_TTD = tf.matMul(side_TF, rows_TFD.transpose([1, 0, 2]).reshape([from, -1])).reshape([to, to, -1]);
  return columns_TTD.transpose([1, 0, 2]).reshape([to * to, -1]);
}

/**
 * Multihead attention pooling, big_vision `MAPHead`: (B N, D) -> (B, D). No layer norm on its input, no residual to
 * the probe. `mask` as in `attend`.
 */
export function mapHead(
  p: Parameters,
  name: string,
  x_BNxD: Tensor,
  batch: number,
  heads: number,
  mask?: Tensor,
): Tensor {
  const width = x_BNxD.shape[1]!;
  const weights = parameter(p, `${name}.attention.in_proj_weight`);
  const biases = parameter(p, `${name}.attention.in_proj_bias`);
  const part = (first: number, count: number) =>
    [
      tf.slice(weights, [first * width, 0], [count * width, width]),
      tf.slice(biases, [first * width], [count * width]),
    ] as const;
  const probe_1D = parameter(p, `${name}.probe`).reshape([1, width]);
  const [weight, bias] = part(0, 1);
  const [query_1H1d] = projectHeads(probe_1D, scaled(weight, width, heads), scaled(bias, width, heads), 1, 1, heads);
  const [k_BHNd, v_BHNd] = projectHeads(x_BNxD, ...part(1, 2), 2, batch, heads);
  const attended_BD = attend(repeatRows(query_1H1d!, batch), k_BHNd!, v_BHNd!, mask);
  const hidden_BD = linear(p, `${name}.attention.out_proj`, attended_BD);
  return hidden_BD.add(mlp(p, `${name}.mlp`, norm(p, `${name}.layernorm`, hidden_BD)));
}
