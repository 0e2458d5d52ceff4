import type { DecoderWeightsFile } from './decoder-file.ts';
import { type FloatKind, GraphBuilder } from './graph.ts';
import { attend, gelu, inHeads, norm, plainLinear, plainNorm } from './layers.ts';
import { keyMask } from './naflex-positions.ts';
import { Weights } from './weights.ts';

// The decoder of src/model/decoder.ts as ONNX. Letters: B texts, L tokens, N patches of a picture, D width.

const batch = 'batch_size';
const words = 'decoder_sequence_length';
const patches = 'encoder_sequence_length';

/**
 * The captioning decoder with the inputs that optimum gives one. Tokens are rows of its own tables, each after the one that is
 * to be said before it: 0, then what was said. No place sees a later one, so the logits of a text's last place say what comes
 * next. Keys and values are computed again for each.
 */
export function decoderGraph(
  { config, depth, tensors }: DecoderWeightsFile,
  float: FloatKind,
  opset: number,
): GraphBuilder {
  const [g, w] = [new GraphBuilder(float, opset), new Weights(tensors)];
  const { vision, text } = config;
  const ids = g.input('input_ids', 'i64', [batch, words]);
  const encoded = g.fromFloat32(g.input('encoder_hidden_states', 'f32', [batch, patches, vision.width]));
  const mask =
    vision.kind === 'naflex'
      ? keyMask(g, g.toFloat32(g.input('encoder_attention_mask', 'i64', [batch, patches])))
      : undefined;
  const length = g.op('Gather', [g.op('Shape', [ids]), g.whole([1])], { axis: 0 });
  const tokens = g.op('Gather', [w.plain(g, 'decoder.embed_tokens.weight'), ids], { axis: 0 });
  const table = w.plain(g, 'decoder.embed_positions.weight');
  // More tokens than places have no sum, so that a longer text is refused.
  let x = g.op('Add', [tokens, g.op('Slice', [table, g.whole([0]), length, g.whole([0])])]);
  const hidden = later(g, length);
  for (let i = 0; i < depth; i++) {
    const layer = `decoder.layers.${i}`;
    x = g.within(layer, () => {
      const attention = (name: string, from: string, of: string, hides?: string) => {
        const part = (which: string, input: string) => plainLinear(g, w, `${layer}.${name}.${which}`, input);
        const heads = [
          inHeads(g, g.op('Mul', [part('q_proj', from), g.number(Math.sqrt(text.heads / text.width))]), text),
          inHeads(g, part('k_proj', of), text, true),
          inHeads(g, part('v_proj', of), text),
        ] as const;
        return part('out_proj', attend(g, text, heads, hides));
      };
      const own = plainNorm(g, w, `${layer}.self_attn_layer_norm`, x);
      const y = g.op('Add', [x, attention('self_attn', own, own, hidden)]);
      const asked = plainNorm(g, w, `${layer}.encoder_attn_layer_norm`, y);
      const z = g.op('Add', [y, attention('encoder_attn', asked, encoded, mask)]);
      const inner = plainLinear(g, w, `${layer}.mlp.fc1`, plainNorm(g, w, `${layer}.final_layer_norm`, z));
      return g.op('Add', [z, plainLinear(g, w, `${layer}.mlp.fc2`, gelu(g, inner))]);
    });
  }
  const rows = g.op('Reshape', [norm(g, w, 'decoder.layer_norm', x), g.whole([-1, text.width])]);
  // As it is stored and not turned over: of the whole vocabulary it is the largest matrix, and is never whole in memory.
  const head = ['weight', 'bias'].map((kind) => w.plain(g, `decoder.lm_head.${kind}`));
  const logits = g.op('Gemm', [rows, ...head], { transB: 1 });
  const shape = g.op('Concat', [g.op('Shape', [ids]), g.whole([text.vocabulary])], { axis: 0 });
  g.output('logits', g.op('Reshape', [logits, shape]), [batch, words, text.vocabulary]);
  return g;
}

/** What hides later places, to be added to the scores: (L, L), 0 up to the diagonal. */
function later(g: GraphBuilder, length: string): string {
  const count = g.toFloat32(g.op('Range', [g.whole(0), g.op('Squeeze', [length, g.whole([0])]), g.whole(1)]));
  const [asked, asking] = [g.op('Unsqueeze', [count, g.whole([0])]), g.op('Unsqueeze', [count, g.whole([1])])];
  const ahead = g.op('Min', [g.op('Relu', [g.op('Sub', [asked, asking])]), g.number(1, 'f32')]);
  // As in keyMask: float16 holds it, and its exponential is zero.
  return g.fromFloat32(g.op('Mul', [ahead, g.number(-3e4, 'f32')]));
}
