import type { Tensor } from '@tensorflow/tfjs';
import { tf } from '../runtime/tensorflow.ts';
import { crossAttend, crossHeads, type DecoderMemory, embed, feedForward, output, selfHeads } from './decoder.ts';
import type { DecoderSize } from './decoder-parameters.ts';
import { attend, norm, type Parameters, parameter } from './layers.ts';
import type { ModelConfig } from './sizes.ts';

/**
 * What the decoder says of images, the likeliest token at each place: (B) lists of ids, each with its end when it came
 * to one. `given` (B lists) is what each begins with, such as a task's prefix. Keys and values of what was said, and of
 * the images, are kept: each place is computed once. Eager, for evaluation.
 */
export function decodeGreedy(
  p: Parameters,
  config: ModelConfig,
  { depth }: DecoderSize,
  { encoded, mask }: DecoderMemory,
  given: readonly (readonly number[])[],
  end: number,
): number[][] {
  const batch = given.length;
  const { heads, length } = config.text;
  const layers = Array.from({ length: depth }, (_, i) => `decoder.layers.${i}`);
  const said: number[][] = given.map(() => []);
  const memories = layers.map((layer) => tf.tidy(() => crossHeads(p, layer, heads, encoded, batch)));
  let kept: [Tensor, Tensor][] = [];
  try {
    // The first input is 0, as in training, where targets are shifted right.
    for (let place = 0, inputs = said.map(() => 0); place < length; place++) {
      const before = kept;
      const { ids, keys } = tf.tidy(() => {
        let x = embed(p, tf.tensor2d(inputs, [batch, 1], 'int32'), place);
        const keys = layers.map((layer, i): [Tensor, Tensor] => {
          const [q, k, v] = selfHeads(p, layer, heads, x, batch) as [Tensor, Tensor, Tensor];
          const all: [Tensor, Tensor] = before[i]
            ? [tf.concat([before[i][0], k], 2), tf.concat([before[i][1], v], 2)]
            : [k, v];
          x = x.add(output(p, `${layer}.self_attn`, attend(q, ...all)));
          x = x.add(crossAttend(p, layer, heads, x, memories[i]!, mask));
          x = x.add(feedForward(p, layer, x));
          return all;
        });
        const logits = tf.matMul(norm(p, 'decoder.layer_norm', x), parameter(p, 'decoder.lm_head.weight'), false, true);
        return { ids: tf.argMax(logits.add(parameter(p, 'decoder.lm_head.bias')), 1), keys };
      });
      tf.dispose(before);
      kept = keys;
      const likeliest = ids.dataSync();
      ids.dispose();
      inputs = said.map((own, i) => {
        const id = given[i]![place] ?? likeliest[i]!;
        if (own.at(-1) !== end) own.push(id);
        return id;
      });
      if (said.every((own) => own.at(-1) === end)) break;
    }
  } finally {
    tf.dispose([kept, memories]);
  }
  return said;
}
