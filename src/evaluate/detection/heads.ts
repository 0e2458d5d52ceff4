import type { Tensor } from '@tensorflow/tfjs';
import { geluTanh } from '../../compile/ops/gelu.ts';
import { linear, norm, type Parameters } from '../../model/layers.ts';
import type { ParameterSpec } from '../../model/parameters.ts';
import { tf } from '../../runtime/tensorflow.ts';

/** Share of tokens that show a category before anything was learned: the bias of focal loss begins there. */
const prior = 0.01;
/** The logit is (cosine + shift) times this to begin with; the paper begins at 1, with a hundred times the steps. */
const firstScale = 10;

/**
 * The heads of OWL-ViT (arXiv 2205.06230; scenic `owl_vit/layers.py`), on each patch of an encoder without its pooling head: a
 * linear map to the space of texts with a shift and a scale of its own for each token, and a box of three layers.
 */
export function headSpecs(width: number): ParameterSpec[] {
  const weight = (name: string, out: number): ParameterSpec => ({
    name: `${name}.weight`,
    shape: [out, width],
    init: { kind: 'lecun', fanIn: width },
    decay: false,
  });
  const vector = (name: string, size: number, value: number): ParameterSpec => ({
    name,
    shape: [size],
    init: { kind: 'constant', value },
    decay: false,
  });
  const dense = (name: string, out: number, bias = 0) => [weight(name, out), vector(`${name}.bias`, out, bias)];
  const shift = Math.log(prior / (1 - prior)) / firstScale;
  return [
    vector('norm.weight', width, 1),
    vector('norm.bias', width, 0),
    ...dense('class', width),
    ...dense('shift', 1, shift),
    // elu(x) + 1, so that it stays above 0.
    ...dense('scale', 1, firstScale - 1),
    ...dense('box.0', width),
    ...dense('box.1', width),
    ...dense('box.2', 4),
  ];
}

/** What the heads say of every token: (B T, C) and (B T, 4), boxes as centre x, y, width and height in shares of the image. */
export interface Said {
  readonly logits: Tensor;
  readonly boxes: Tensor;
}

/**
 * @param tokens (B T, D) outputs of the encoder
 * @param queries (C, D) texts, of length 1
 * @param bias (B T, 4) of the boxes before the sigmoid, by position
 */
export function detectionHeads(p: Parameters, tokens: Tensor, queries: Tensor, bias: Tensor): Said {
  const x = norm(p, 'norm', tokens);
  const classes = linear(p, 'class', x);
  const length = classes.square().sum(-1, true).sqrt().add(1e-6);
  const cosines = tf.matMul(classes.div(length), queries, false, true);
  const scale = tf.elu(linear(p, 'scale', x)).add(1);
  const logits = cosines.add(linear(p, 'shift', x)).mul(scale) as Tensor;
  const hidden = geluTanh(linear(p, 'box.1', geluTanh(linear(p, 'box.0', x))));
  return { logits, boxes: tf.sigmoid(linear(p, 'box.2', hidden).add(bias)) };
}

const inverse = (share: number) => Math.log(share + 1e-4) - Math.log1p(-share + 1e-4);

/**
 * (T, 4) what is added to the boxes of the tokens of a grid, row by row, so that each begins at its place and as large as a
 * patch (scenic `compute_box_bias`; places are lower right corners, as there). What the grid leaves out of the image at the
 * right and at the bottom is in `cover`.
 */
export function boxBias(
  rows: number,
  columns: number,
  [down, across]: readonly [number, number] = [1, 1],
): Float32Array {
  const bias = new Float32Array(rows * columns * 4);
  for (let row = 0, at = 0; row < rows; row++)
    for (let column = 0; column < columns; column++, at += 4) {
      bias[at] = inverse(((column + 1) / columns) * across);
      bias[at + 1] = inverse(((row + 1) / rows) * down);
      bias[at + 2] = inverse(across / columns);
      bias[at + 3] = inverse(down / rows);
    }
  return bias;
}
