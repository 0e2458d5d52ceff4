import { normEpsilon, type TowerSize } from '../model/sizes.ts';
import type { GraphBuilder } from './graph.ts';
import type { Weights } from './weights.ts';

// The blocks of src/model/layers.ts as ONNX. Letters: B batch, N tokens, D width, H heads.

/** (..., in) -> (..., out) */
export function linear(g: GraphBuilder, w: Weights, name: string, x: string): string {
  return g.op('Add', [g.op('MatMul', [x, w.transposed(g, `${name}.weight`)]), w.plain(g, `${name}.bias`)]);
}

/** The same without a bias. */
export function plainLinear(g: GraphBuilder, w: Weights, name: string, x: string): string {
  return g.op('MatMul', [x, w.transposed(g, `${name}.weight`)]);
}

export function norm(g: GraphBuilder, w: Weights, name: string, x: string): string {
  const attributes = { axis: -1, epsilon: { float: normEpsilon } };
  return g.op('LayerNormalization', [x, w.plain(g, `${name}.weight`), w.plain(g, `${name}.bias`)], attributes);
}

/** A norm without a bias. */
export function plainNorm(g: GraphBuilder, w: Weights, name: string, x: string): string {
  return g.op('LayerNormalization', [x, w.plain(g, `${name}.weight`)], { axis: -1, epsilon: { float: normEpsilon } });
}

export function mlp(g: GraphBuilder, w: Weights, name: string, x: string): string {
  return linear(g, w, `${name}.fc2`, gelu(g, linear(g, w, `${name}.fc1`, x)));
}

/** By tanh. Before opset 20 there is no such operator; in float16 nothing of it is infinite where the answer is not. */
export function gelu(g: GraphBuilder, x: string): string {
  if (g.opset >= 20) return g.op('Gelu', [x], { approximate: 'tanh' });
  const cubic = g.op('Add', [g.op('Mul', [g.op('Mul', [x, x]), g.number(0.044715)]), g.number(1)]);
  const inner = g.op('Mul', [g.op('Mul', [x, g.number(Math.sqrt(2 / Math.PI))]), cubic]);
  const share = g.op('Add', [g.op('Tanh', [inner]), g.number(1)]);
  return g.op('Mul', [g.op('Mul', [x, g.number(0.5)]), share]);
}

/** (B, N, D) -> (B, H, N, D/H), or with the last two turned over, as keys are multiplied. */
export function inHeads(g: GraphBuilder, x: string, { width, heads }: TowerSize, keys = false): string {
  const split = g.op('Reshape', [x, g.whole([0, 0, heads, width / heads])]);
  return g.op('Transpose', [split], { perm: keys ? [0, 2, 3, 1] : [0, 2, 1, 3] });
}

/** Scaled queries (B, H, M, D/H), keys (B, H, D/H, N), values (B, H, N, D/H) -> (B, M, D). `mask` is added to the scores. */
export function attend(
  g: GraphBuilder,
  { width }: TowerSize,
  [q, k, v]: readonly [string, string, string],
  mask?: string,
): string {
  const scores = g.op('MatMul', [q, k]);
  const shares = g.op('Softmax', [mask === undefined ? scores : g.op('Add', [scores, mask])], { axis: -1 });
  const attended = g.op('Transpose', [g.op('MatMul', [shares, v])], { perm: [0, 2, 1, 3] });
  return g.op('Reshape', [attended, g.whole([0, 0, width])]);
}

/** Pre-LN blocks and the norm behind them: (B, N, D) -> (B, N, D). */
export function encoder(
  g: GraphBuilder,
  w: Weights,
  tower: string,
  size: TowerSize,
  embedded: string,
  lastNorm: string,
  mask?: string,
): string {
  let x = embedded;
  for (let i = 0; i < size.depth; i++) {
    const layer = `${tower}.encoder.layers.${i}`;
    x = g.within(layer, () => {
      const y = norm(g, w, `${layer}.layer_norm1`, x);
      const part = (name: string) => linear(g, w, `${layer}.self_attn.${name}`, y);
      const heads = [
        inHeads(g, g.op('Mul', [part('q_proj'), g.number(Math.sqrt(size.heads / size.width))]), size),
        inHeads(g, part('k_proj'), size, true),
        inHeads(g, part('v_proj'), size),
      ] as const;
      const attended = linear(g, w, `${layer}.self_attn.out_proj`, attend(g, size, heads, mask));
      const hidden = g.op('Add', [x, attended]);
      return g.op('Add', [hidden, mlp(g, w, `${layer}.mlp`, norm(g, w, `${layer}.layer_norm2`, hidden))]);
    });
  }
  return norm(g, w, `${tower}.${lastNorm}`, x);
}
