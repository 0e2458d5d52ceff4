import type { Tensor } from '@tensorflow/tfjs';
import { geluTanh } from '../compile/ops/gelu.ts';
import { layerNorm } from '../compile/ops/layer-norm.ts';
import { rematerialise } from '../compile/ops/rematerialise.ts';
import { tf } from '../runtime/tensorflow.ts';
import type { TowerSize } from './sizes.ts';

/**
 * The blocks that both towers share: big_vision `models/vit.py` (Encoder1DBlock, MlpBlock), with the parameter
 * layout of transformers (weights are (out, in)). Letters: B batch, N tokens, D width, H heads, R = B N rows.
 * Activations are (R, D) between ops: one large matmul per layer.
 */
export type Parameters = Readonly<Record<string, Tensor>>;

export const normEpsilon = 1e-6;

/** A parameter by name; a missing one is a mistake of the caller, named in the error. */
export function parameter(parameters: Parameters, name: string): Tensor {
  const tensor = parameters[name];
  if (tensor === undefined) throw new Error(`the model has no parameter ${name}`);
  return tensor;
}

/** (R, in) -> (R, out) */
export function linear(p: Parameters, name: string, x: Tensor): Tensor {
  return affine(x, parameter(p, `${name}.weight`), parameter(p, `${name}.bias`));
}

/** x W^T + b: (R, in) x (out, in) x (out) -> (R, out) */
export function affine(x: Tensor, weight: Tensor, bias: Tensor): Tensor {
  return tf.matMul(x, weight, false, true).add(bias);
}

export function norm(p: Parameters, name: string, x: Tensor): Tensor {
  return layerNorm(x, parameter(p, `${name}.weight`), parameter(p, `${name}.bias`), normEpsilon);
}

export function mlp(p: Parameters, name: string, x: Tensor): Tensor {
  return linear(p, `${name}.fc2`, geluTanh(linear(p, `${name}.fc1`, x)));
}

/**
 * Scaled dot-product attention: `scaled` queries (B, H, M, D/H), keys and values (B, H, N, D/H) -> (B M, D). `mask`,
 * which broadcasts to (B, H, M, N), is added to the scores: see `keyMask`.
 */
export function attend(q: Tensor, k: Tensor, v: Tensor, mask?: Tensor): Tensor {
  const [, heads, , size] = q.shape as [number, number, number, number];
  const scores = tf.matMul(q, k, false, true); // (B, H, M, N)
  return tf
    .matMul(tf.softmax(mask === undefined ? scores : scores.add(mask)), v)
    .transpose([0, 2, 1, 3])
    .reshape([-1, heads * size]);
}

/**
 * Weight or bias of a query projection, scaled so that its queries come out divided by sqrt(D/H): the same scores as
 * dividing (B, H, N, N) of them, for next to nothing.
 */
export const scaled = (weightOrBias: Tensor, width: number, heads: number): Tensor =>
  weightOrBias.mul(Math.sqrt(heads / width));

/**
 * What hides keys from every query: (B, N) with 1 for a key and 0 for padding -> (B, 1, 1, N) to add to the scores.
 * A hidden key gets a probability of exactly zero, as long as its image has one that is seen.
 */
export function keyMask(seen: Tensor): Tensor {
  return seen.sub(1).mul(1e9).reshape([seen.shape[0]!, 1, 1, -1]);
}

/** One matmul for several projections of the same rows: (B N, D) -> `parts` times (B, H, N, D/H). */
export function projectHeads(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  parts: number,
  batch: number,
  heads: number,
): Tensor[] {
  const size = weight.shape[0]! / parts / heads;
  const projected = bias === null ? tf.matMul(x, weight, false, true) : affine(x, weight, bias);
  const split = projected.reshape([batch, -1, parts, heads, size]).transpose([2, 0, 3, 1, 4]);
  // Unstacking into one piece has no gradient in TF.js.
  return parts === 1 ? [split.squeeze([0])] : tf.unstack(split);
}

/** How a tower is computed; no part of what it computes. */
export interface TowerOptions {
  /** Keep only the input of each block for the backward pass, and compute the block again there. */
  readonly remat?: boolean;
}

/** Pre-LN transformer blocks: (B N, D) -> (B N, D), without the final layer norm. `mask` as in `attend`. */
export function encoder(
  p: Parameters,
  name: string,
  size: TowerSize,
  x: Tensor,
  batch: number,
  { remat = false }: TowerOptions = {},
  mask?: Tensor,
): Tensor {
  let hidden = x;
  for (let i = 0; i < size.depth; i++) {
    const layer = `${name}.layers.${i}`;
    hidden = (remat ? blockAgain : block)(p, layer, size.heads, hidden, batch, mask);
  }
  return hidden;
}

/** x += MHSA(LN(x)); x += MLP(LN(x)) */
function block(p: Parameters, layer: string, heads: number, x: Tensor, batch: number, mask?: Tensor): Tensor {
  const y = norm(p, `${layer}.layer_norm1`, x);
  const all = (kind: string) =>
    tf.concat([
      scaled(parameter(p, `${layer}.self_attn.q_proj.${kind}`), x.shape[1]!, heads),
      parameter(p, `${layer}.self_attn.k_proj.${kind}`),
      parameter(p, `${layer}.self_attn.v_proj.${kind}`),
    ]);
  const [q, k, v] = projectHeads(y, all('weight'), all('bias'), 3, batch, heads);
  const hidden = x.add(linear(p, `${layer}.self_attn.out_proj`, attend(q!, k!, v!, mask)));
  return hidden.add(mlp(p, `${layer}.mlp`, norm(p, `${layer}.layer_norm2`, hidden)));
}

/** A block whose activations are computed again in the backward pass. */
function blockAgain(p: Parameters, layer: string, heads: number, x: Tensor, batch: number, mask?: Tensor): Tensor {
  const names = Object.keys(p).filter((name) => name.startsWith(`${layer}.`));
  const run = (hidden: Tensor, ...rest: Tensor[]) => {
    const own = Object.fromEntries(names.map((name, i) => [name, rest[i]!]));
    return block(own, layer, heads, hidden, batch, rest[names.length]);
  };
  // The mask has no gradient to get, but only inputs live until the backward pass.
  const inputs = [x, ...names.map((name) => p[name]!), ...(mask === undefined ? [] : [mask])];
  return rematerialise(run as (...inputs: Tensor[]) => Tensor, inputs);
}

/** Rows of length one, as big_vision `two_towers.py`: z / (|z| + 1e-8). (B, D) -> (B, D) */
export function l2Normalise(x: Tensor): Tensor {
  return x.div(x.square().sum(-1, true).sqrt().add(1e-8));
}
