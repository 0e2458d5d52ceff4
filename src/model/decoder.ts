import type { Tensor } from '@tensorflow/tfjs';
import { gatherRows } from '../compile/ops/gather-rows.ts';
import { geluTanh } from '../compile/ops/gelu.ts';
import { layerNorm } from '../compile/ops/layer-norm.ts';
import { rematerialise } from '../compile/ops/rematerialise.ts';
import { tf } from '../runtime/tensorflow.ts';
import type { DecoderSize } from './decoder-parameters.ts';
import { attend, norm, type Parameters, parameter, projectHeads, scaled, type TowerOptions } from './layers.ts';
import { type ModelConfig, normEpsilon } from './sizes.ts';

// Letters: B images, N patches of one, T = 3 targets of one, R = B T of all, L tokens of a target, D width, H heads, d = D/H.

/** The encoder's side of cross-attention. */
export interface DecoderMemory {
  /** Un-pooled features after the encoder's last norm: (B N, D of the vision tower). */
  readonly encoded: Tensor;
  /** Added to the scores, (B, 1, 1, N): what hides padding of NaFlex images. */
  readonly mask?: Tensor | undefined;
}

/**
 * The decoder on whole targets (spec 3.2; big_vision `cappa.py`): (R, L) int32, the T targets of an image together
 * -> (R L, D) after the final norm, before the logits. A row with `parallel` 1 sees mask tokens alone and every
 * position; one with 0 sees the target shifted right, and no later position.
 *
 * @param parallel_R int32
 */
export function decoder(
  p: Parameters,
  config: ModelConfig,
  { depth }: DecoderSize,
  targets_RL: Tensor,
  parallel_R: Tensor,
  memory: DecoderMemory,
  batch: number,
  { remat = false }: TowerOptions = {},
): Tensor {
  const [rows, length] = targets_RL.shape as [number, number];
  const { heads, vocabulary } = config.text;
  const one = tf.scalar(1, 'int32');
  const flags_R1 = parallel_R.reshape([rows, 1]);
  const shifted_RL = tf.concat([tf.zeros([rows, 1], 'int32'), targets_RL.slice([0, 0], [rows, length - 1])], 1);
  const inputs_RL = shifted_RL.mul(one.sub(flags_R1)).add(flags_R1.mul(tf.scalar(vocabulary, 'int32'))) as Tensor;
  const hides_R1LL = later(length).mul(one.sub(flags_R1).cast('float32').reshape([rows, 1, 1, 1])) as Tensor;
  let x_RLxD = embed(p, inputs_RL, parameter(p, 'decoder.embed_positions.weight').slice([0, 0], [length, -1]));
  for (let i = 0; i < depth; i++)
    x_RLxD = (remat ? blockAgain : block)(p, `decoder.layers.${i}`, heads, x_RLxD, hides_R1LL, memory, batch);
  return norm(p, 'decoder.layer_norm', x_RLxD);
}

/** Token embeddings of (R, L) ids, with the (L, D) embeddings of their positions -> (R L, D). */
export function embed(p: Parameters, ids_RL: Tensor, positions_LD: Tensor): Tensor {
  const [rows, length] = ids_RL.shape as [number, number];
  const table_VD = parameter(p, 'decoder.embed_tokens.weight');
  const width = table_VD.shape[1]!;
  return gatherRows(table_VD, ids_RL.reshape([rows * length]))
    .reshape([rows, length, width])
    .add(positions_LD)
    .reshape([rows * length, width]);
}

/** What hides later positions: (1, 1, L, L), 0 up to the diagonal and very negative above it. */
function later(length: number): Tensor {
  const values = Float32Array.from({ length: length ** 2 }, (_, i) => (i % length > Math.floor(i / length) ? -1e9 : 0));
  return tf.tensor(values, [1, 1, length, length]);
}

function block(
  p: Parameters,
  layer: string,
  heads: number,
  x_RLxD: Tensor,
  hides_R1LL: Tensor,
  memory: DecoderMemory,
  batch: number,
): Tensor {
  const rows = hides_R1LL.shape[0]!;
  const [q_RHLd, k_RHLd, v_RHLd] = selfHeads(p, layer, heads, x_RLxD, rows);
  const self_RLxD = x_RLxD.add(output(p, `${layer}.self_attn`, attend(q_RHLd!, k_RHLd!, v_RHLd!, hides_R1LL)));
  // Every target of an image asks the same keys, which are projected once.
  const keys_BHNd = crossHeads(p, layer, heads, memory.encoded, batch);
  const cross_RLxD = self_RLxD.add(crossAttend(p, layer, heads, self_RLxD, keys_BHNd, memory.mask));
  return cross_RLxD.add(feedForward(p, layer, cross_RLxD));
}

/** Queries, keys and values of self-attention: (R L, D) -> three times (R, H, L, D/H). */
export function selfHeads(p: Parameters, layer: string, heads: number, x: Tensor, rows: number): Tensor[] {
  const of = (part: string) => parameter(p, `${layer}.self_attn.${part}.weight`);
  const weights = tf.concat([scaled(of('q_proj'), x.shape[1]!, heads), of('k_proj'), of('v_proj')]);
  return projectHeads(plainNorm(p, `${layer}.self_attn_layer_norm`, x), weights, null, 3, rows, heads);
}

/** Keys and values of cross-attention: (B N, D of the vision tower) -> twice (B, H, N, D/H). */
export function crossHeads(p: Parameters, layer: string, heads: number, encoded: Tensor, batch: number): Tensor[] {
  const of = (part: string) => parameter(p, `${layer}.encoder_attn.${part}.weight`);
  return projectHeads(encoded, tf.concat([of('k_proj'), of('v_proj')]), null, 2, batch, heads);
}

export function crossAttend(
  p: Parameters,
  layer: string,
  heads: number,
  x: Tensor,
  [keys, values]: readonly Tensor[],
  mask?: Tensor,
): Tensor {
  const weight = scaled(parameter(p, `${layer}.encoder_attn.q_proj.weight`), x.shape[1]!, heads);
  const batch = keys!.shape[0]!;
  const [q] = projectHeads(plainNorm(p, `${layer}.encoder_attn_layer_norm`, x), weight, null, 1, batch, heads);
  return output(p, `${layer}.encoder_attn`, attend(q!, keys!, values!, mask));
}

export function feedForward(p: Parameters, layer: string, x: Tensor): Tensor {
  const of = (part: string) => parameter(p, `${layer}.mlp.${part}.weight`);
  const hidden = geluTanh(tf.matMul(plainNorm(p, `${layer}.final_layer_norm`, x), of('fc1'), false, true));
  return tf.matMul(hidden, of('fc2'), false, true);
}

/** The projection of attended heads. */
export function output(p: Parameters, attention: string, x: Tensor): Tensor {
  return tf.matMul(x, parameter(p, `${attention}.out_proj.weight`), false, true);
}

/** A layer norm without a bias. */
function plainNorm(p: Parameters, name: string, x: Tensor): Tensor {
  const weight = parameter(p, `${name}.weight`);
  return layerNorm(x, weight, tf.zeros([weight.shape[0]!]), normEpsilon);
}

/** A block whose activations are computed again in the backward pass. */
function blockAgain(
  p: Parameters,
  layer: string,
  heads: number,
  x: Tensor,
  hides: Tensor,
  { encoded, mask }: DecoderMemory,
  batch: number,
): Tensor {
  const names = Object.keys(p).filter((name) => name.startsWith(`${layer}.`));
  const run = (hidden: Tensor, encoded: Tensor, hides: Tensor, ...rest: Tensor[]) => {
    const own = Object.fromEntries(names.map((name, i) => [name, rest[i]!]));
    return block(own, layer, heads, hidden, hides, { encoded, mask: rest[names.length] }, batch);
  };
  // Masks have no gradient to get, but only inputs live until the backward pass.
  const inputs = [x, encoded, hides, ...names.map((name) => p[name]!), ...(mask === undefined ? [] : [mask])];
  return rematerialise(run as (...inputs: Tensor[]) => Tensor, inputs);
}
