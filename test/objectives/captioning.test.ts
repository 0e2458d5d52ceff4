import { describe, expect, it } from 'vitest';
import { initialise } from '../../src/model/initialise.ts';
import { captioning } from '../../src/objectives/captioning.ts';
import type { Features } from '../../src/objectives/objective.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';
import { tinySettings } from '../train/settings.ts';

const model = {
  ...tinySettings.model,
  text: { width: 4, depth: 2, mlp: 6, heads: 2, length: 3, vocabulary: 7 },
};
const settings = { weight: 1, depth: 2, chunk: 4 };
const [batch, keys, wide, width, length, words] = [2, 5, model.vision.width, 4, 3, 7];
const rows = batch * 3;
const specs = captioning.parameters(settings, model);
const random = randomStream(2, 'captioning');
/** Not as they start: logits that start at zero would hide the decoder. */
const values: Record<string, number[]> = Object.fromEntries(
  specs.map((spec) => [spec.name, [...initialise(1, spec)].map((x) => x + 0.3 * random.normal())]),
);
const encoded = Array.from({ length: batch * keys * wide }, () => random.normal());
const targets = [3, 4, 0, 6, 1, 2, 2, 0, 0, 5, 5, 1, 1, 2, 3, 4, 6, 0];
const parallel = [1, 0, 0, 0, 1, 0];
const weights = [0.5, 0.5, 0, 0, 0.5, 0.5, 1, 0, 0, 0.25, 0.5, 0.25, 0, 0, 0, 0, 1, 0];

/** The same loss, number by number in float64, from what big_vision's cappa.py says: no tensor, no shared code. */
function slowLoss(v: Record<string, number[]>, counts: readonly number[] = weights): number {
  const at = (name: string) => v[`decoder.${name}`]!;
  const times = (name: string, x: number[]) => {
    const w = at(`${name}.weight`);
    return Array.from({ length: w.length / x.length }, (_, o) =>
      x.reduce((sum, xi, i) => sum + xi * w[o * x.length + i]!, 0),
    );
  };
  const normal = (x: number[], gain: number[], shift: number[] = []) => {
    const mean = x.reduce((a, b) => a + b) / x.length;
    const variance = x.reduce((sum, xi) => sum + (xi - mean) ** 2, 0) / x.length;
    return x.map((xi, i) => ((xi - mean) / Math.sqrt(variance + 1e-6)) * gain[i]! + (shift[i] ?? 0));
  };
  const plus = (a: number[], b: number[]) => a.map((x, i) => x + b[i]!);
  const attended = (q: number[], k: number[][], u: number[][]) => {
    const size = width / 2;
    return [0, 1].flatMap((head) => {
      const part = (x: number[]) => x.slice(head * size, (head + 1) * size);
      const scores = k.map((one) =>
        Math.exp(part(one).reduce((sum, x, i) => sum + x * part(q)[i]!, 0) / Math.sqrt(size)),
      );
      const sum = scores.reduce((a, b) => a + b);
      return part(q).map((_, i) => u.reduce((all, one, j) => all + (scores[j]! / sum) * part(one)[i]!, 0));
    });
  };
  const gelu = (x: number) => 0.5 * x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
  let loss = 0;
  for (let row = 0; row < rows; row++) {
    const own = targets.slice(row * length, (row + 1) * length);
    const seen = own.map((_, i) => (parallel[row] ? words : i === 0 ? 0 : own[i - 1]!));
    let xs = seen.map((id, i) =>
      plus(
        at('embed_tokens.weight').slice(id * width, (id + 1) * width),
        at('embed_positions.weight').slice(i * width, (i + 1) * width),
      ),
    );
    const image = Math.floor(row / 3);
    const memory = Array.from({ length: keys }, (_, n) =>
      encoded.slice((image * keys + n) * wide, (image * keys + n + 1) * wide),
    );
    for (let layer = 0; layer < 2; layer++) {
      const l = `layers.${layer}`;
      const normed = xs.map((x) => normal(x, at(`${l}.self_attn_layer_norm.weight`)));
      const [q, k, u] = ['q', 'k', 'v'].map((part) => normed.map((x) => times(`${l}.self_attn.${part}_proj`, x)));
      xs = xs.map((x, i) => {
        const end = parallel[row] ? length : i + 1;
        return plus(x, times(`${l}.self_attn.out_proj`, attended(q![i]!, k!.slice(0, end), u!.slice(0, end))));
      });
      const [ck, cu] = ['k', 'v'].map((part) => memory.map((x) => times(`${l}.encoder_attn.${part}_proj`, x)));
      xs = xs.map((x) => {
        const cq = times(`${l}.encoder_attn.q_proj`, normal(x, at(`${l}.encoder_attn_layer_norm.weight`)));
        return plus(x, times(`${l}.encoder_attn.out_proj`, attended(cq, ck!, cu!)));
      });
      xs = xs.map((x) => {
        const hidden = times(`${l}.mlp.fc1`, normal(x, at(`${l}.final_layer_norm.weight`))).map(gelu);
        return plus(x, times(`${l}.mlp.fc2`, hidden));
      });
    }
    for (const [i, x] of xs.entries()) {
      const logits = plus(
        times('lm_head', normal(x, at('layer_norm.weight'), at('layer_norm.bias'))),
        at('lm_head.bias'),
      );
      const sum = Math.log(logits.reduce((all, logit) => all + Math.exp(logit), 0));
      loss += (counts[row * length + i]! * (sum - logits[own[i]!]!)) / batch;
    }
  }
  return loss;
}

const feeds = () => ({
  targets: tf.tensor2d(targets, [rows, length], 'int32'),
  targetWeights: tf.tensor2d(weights, [rows, length]),
  parallel: tf.tensor1d(parallel, 'int32'),
});
const features = () => ({ image: { encoded: tf.tensor2d(encoded, [batch * keys, wide]) } }) as unknown as Features;
const resultOf = (p: Record<string, ReturnType<typeof tf.tensor>>, remat = false) =>
  captioning.loss({
    settings,
    model,
    tower: { remat },
    p,
    teacher: {},
    state: {},
    feeds: feeds(),
    features: features(),
  });
const lossOf = (...of: Parameters<typeof resultOf>) => resultOf(...of).loss;
const tensors = () => specs.map(({ name, shape }) => tf.tensor(values[name]!, [...shape]));
const named = (all: readonly ReturnType<typeof tf.tensor>[]) =>
  Object.fromEntries(specs.map(({ name }, i) => [name, all[i]!]));

describe('captioning', () => {
  it('has the loss of a slow loop over every number, causal and parallel rows alike', () => {
    expect(lossOf(named(tensors())).dataSync()[0]).toBeCloseTo(slowLoss(values), 4);
  });

  it('tells the three losses that it adds up apart, each as a loop over its texts alone gives it', () => {
    const { loss, metrics } = resultOf(named(tensors()));
    expect(Object.keys(metrics!)).toEqual(['captioning', 'referring', 'grounded']);
    const apart = Object.values(metrics!).map((tensor) => tensor.dataSync()[0]!);
    for (const [task, value] of apart.entries()) {
      const own = weights.map((weight, i) => (Math.floor(i / length) % 3 === task ? weight : 0));
      expect(value).toBeCloseTo(slowLoss(values, own), 4);
    }
    expect(new Set(apart.map((value) => value.toFixed(2))).size).toBe(3);
    expect(apart.reduce((sum, value) => sum + value, 0)).toBeCloseTo(loss.dataSync()[0]!, 5);
  });

  it.each([false, true])(
    'has the gradients that differences of the loop have, activations computed again: %s',
    (remat) => {
      const gradients = tf
        .grads((...all: ReturnType<typeof tf.tensor>[]) => lossOf(named(all), remat) as never)(tensors() as never)
        .map((gradient: ReturnType<typeof tf.tensor>) => [...gradient.dataSync()]);
      const step = 1e-5;
      for (const [which, { name }] of specs.entries()) {
        const count = values[name]!.length;
        // A few numbers of each parameter; embeddings of words that no row sees have no gradient.
        for (const i of [0, Math.floor(count / 3), count - 1]) {
          const moved = (by: number) =>
            slowLoss({ ...values, [name]: values[name]!.map((x, j) => (i === j ? x + by : x)) });
          const expected = (moved(step) - moved(-step)) / (2 * step);
          expect(
            Math.abs(gradients[which]![i]! - expected) / Math.max(0.05, Math.abs(expected)),
            `${name}[${i}]`,
          ).toBeLessThan(2e-3);
        }
      }
    },
  );

  it('of a fresh decoder is the log of the vocabulary for each text that counts', () => {
    const fresh = Object.fromEntries(specs.map((spec) => [spec.name, tf.tensor(initialise(1, spec), [...spec.shape])]));
    const counted = weights.reduce((a, b) => a + b) / batch;
    expect(lossOf(fresh).dataSync()[0]).toBeCloseTo(counted * Math.log(words), 5);
  });
});
