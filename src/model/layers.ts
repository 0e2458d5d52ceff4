import type { Tensor } from '@tensorflow/tfjs';
import { geluTanh } from '../compile/ops/gelu.ts';
import { layerNorm } from '../compile/ops/layer-norm.ts';
import { type AdaptedRows, adaptedMatMul } from '../compile/ops/low-rank-matmul.ts';
import { rematerialise } from '../compile/ops/rematerialise.ts';
import { tf } from '../runtime/tensorflow.ts';
import { adapterA, adapterB, adapterMagnitude } from './adapters.ts';
import { normEpsilon, type TowerSize } from './sizes.ts';

/**
 * The blocks that both towers share: big_vision `models/vit.py` (Encoder1DBlock, MlpBlock), with the parameter
 * layout of transformers (weights are (out, in)). Letters: B batch, N tokens, M queries, D width, H heads, d = D/H, and
 * BNxD for (B N, D), as activations are between ops: one large matmul per layer.
 */
export type Parameters = Readonly<Record<string, Tensor>>;

/** A parameter by name; a missing one is a mistake of the caller, named in the error. */
export function parameter(parameters: Parameters, name: string): Tensor {
  const tensor = parameters[name];
  if (tensor === undefined) throw new Error(`the model has no parameter ${name}`);
  return tensor;
}

/** (R, in) -> (R, out) */
export function linear(p: Parameters, name: string, x: Tensor): Tensor {
  const rows = adaptedRows(p, name);
  const bias = parameter(p, `${name}.bias`);
  return rows.a ? adaptedMatMul(x, [rows]).add(bias) : affine(x, rows.weight, bias);
}

/** The weight of a linear layer, with its adapter where it has one. */
function adaptedRows(p: Parameters, name: string): AdaptedRows {
  const weight = parameter(p, `${name}.weight`);
  const a = p[adapterA(name)];
  const magnitude = p[adapterMagnitude(name)];
  return a ? { weight, a, b: parameter(p, adapterB(name)), ...(magnitude && { magnitude }) } : { weight };
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
export function attend(q_BHMd: Tensor, k_BHNd: Tensor, v_BHNd: Tensor, mask?: Tensor): Tensor {
  const [, heads, , size] = q_BHMd.shape as [number, number, number, number];
  const scores_BHMN = tf.matMul(q_BHMd, k_BHNd, false, true);
  return tf
    .matMul(tf.softmax(mask === undefined ? scores_BHMN : scores_BHMN.add(mask)), v_BHNd)
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
export function keyMask(seen_BN: Tensor): Tensor {
  return seen_BN.sub(1).mul(1e9).reshape([seen_BN.shape[0]!, 1, 1, -1]);
}

/** One matmul for several projections of the same rows: (B N, D) -> P, `parts`, times (B, H, N, D/H). */
export function projectHeads(
  x_BNxD: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  parts: number,
  batch: number,
  heads: number,
): Tensor[] {
  const projected = bias === null ? tf.matMul(x_BNxD, weight, false, true) : affine(x_BNxD, weight, bias);
  return splitHeads(projected, parts, batch, heads);
}

/** (B N, P D) -> P, `parts`, times (B, H, N, D/H). */
function splitHeads(projected: Tensor, parts: number, batch: number, heads: number): Tensor[] {
  const size = projected.shape[1]! / parts / heads;
  const split_PBHNd = projected.reshape([batch, -1, parts, heads, size]).transpose([2, 0, 3, 1, 4]);
  // Unstacking into one piece has no gradient in TF.js.
  return parts === 1 ? [split_PBHNd.squeeze([0])] : tf.unstack(split_PBHNd);
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
  x_BNxD: Tensor,
  batch: number,
  { remat = false }: TowerOptions = {},
  mask?: Tensor,
): Tensor {
  let hidden_BNxD = x_BNxD;
  for (let i = 0; i < size.depth; i++) {
    const layer = `${name}.layers.${i}`;
    hidden_BNxD = (remat ? blockAgain : block)(p, layer, size.heads, hidden_BNxD, batch, mask);
  }
  return hidden_BNxD;
}

/** x += MHSA(LN(x)); x += MLP(LN(x)) */
function block(p: Parameters, layer: string, heads: number, x_BNxD: Tensor, batch: number, mask?: Tensor): Tensor {
  const y_BNxD = norm(p, `${layer}.layer_norm1`, x_BNxD);
  const all = (kind: string) =>
    tf.concat([
      scaled(parameter(p, `${layer}.self_attn.q_proj.${kind}`), x_BNxD.shape[1]!, heads),
      parameter(p, `${layer}.self_attn.k_proj.${kind}`),
      parameter(p, `${layer}.self_attn.v_proj.${kind}`),
    ]);
  const adapted = adaptedHeads(p, layer, heads, x_BNxD.shape[1]!);
  const [q_BHNd, k_BHNd, v_BHNd] = adapted
    ? splitHeads(adaptedMatMul(y_BNxD, adapted).add(all('bias')), 3, batch, heads)
    : projectHeads(y_BNxD, all('weight'), all('bias'), 3, batch, heads);
  const attended_BNxD = attend(q_BHNd!, k_BHNd!, v_BHNd!, mask);
  const hidden_BNxD = x_BNxD.add(linear(p, `${layer}.self_attn.out_proj`, attended_BNxD));
  return hidden_BNxD.add(mlp(p, `${layer}.mlp`, norm(p, `${layer}.layer_norm2`, hidden_BNxD)));
}

/** Queries, keys and values of a block of which some have adapters; null where none has. */
function adaptedHeads(p: Parameters, layer: string, heads: number, width: number): AdaptedRows[] | null {
  const [q, k, v] = ['q_proj', 'k_proj', 'v_proj'].map((part) => adaptedRows(p, `${layer}.self_attn.${part}`));
  if (!(q!.a ?? k!.a ?? v!.a)) return null;
  const { weight, a, b, magnitude } = q!;
  const own = (tensor: Tensor) => scaled(tensor, width, heads);
  // Rows that are scaled are as much shorter as the length that they are scaled to.
  return [
    { weight: own(weight), ...(a && { a, b: own(b!) }), ...(magnitude && { magnitude: own(magnitude) }) },
    k!,
    v!,
  ];
}

/** A block whose activations are computed again in the backward pass. */
function blockAgain(p: Parameters, layer: string, heads: number, x_BNxD: Tensor, batch: number, mask?: Tensor): Tensor {
  const names = Object.keys(p).filter((name) => name.startsWith(`${layer}.`));
  const run = (hidden: Tensor, ...rest: Tensor[]) => {
    const own = Object.fromEntries(names.map((name, i) => [name, rest[i]!]));
    return block(own, layer, heads, hidden, batch, rest[names.length]);
  };
  // The mask has no gradient to get, but only inputs live until the backward pass.
  const inputs = [x_BNxD, ...names.map((name) => p[name]!), ...(mask === undefined ? [] : [mask])];
  return rematerialise(run as (...inputs: Tensor[]) => Tensor, inputs);
}
