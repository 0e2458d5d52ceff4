import { expect, it } from 'vitest';
import { hardNegatives } from '../../src/objectives/hard-negatives.ts';
import type { ObjectiveInputs } from '../../src/objectives/objective.ts';
import { differentiate } from '../../src/optimiser/differentiate.ts';
import type { HardNegativesSettings } from '../../src/recipe/objective-settings.ts';
import { randomStream } from '../../src/runtime/random.ts';
import { tf } from '../../src/runtime/tensorflow.ts';

const [batch, texts, width] = [5, 3, 4];
const random = randomStream(21, 'hard negatives');
const draw = (rows: number) => Array.from({ length: rows * width }, () => random.normal());
const inputs = { images: draw(batch), texts: draw(batch * texts), logit_scale: [1.1], logit_bias: [-0.7] };
type Inputs = typeof inputs;
// One has none, one has fewer.
const weights = [1, 1, 1, 0, 0, 0, 1, 0, 0, 1, 1, 1, 1, 1, 0];

/** Pair by pair in float64. */
function slowLoss({ images, texts: all, logit_scale, logit_bias }: Inputs): number {
  const row = (of: number[], i: number) => {
    const own = of.slice(i * width, (i + 1) * width);
    return own.map((x) => x / Math.hypot(...own));
  };
  let sum = 0;
  for (let i = 0; i < batch; i++)
    for (let k = 0; k < texts; k++) {
      const text = row(all, i * texts + k);
      const cosine = row(images, i).reduce((total, x, j) => total + x * text[j]!, 0);
      sum += weights[i * texts + k]! * Math.log1p(Math.exp(Math.exp(logit_scale[0]!) * cosine + logit_bias[0]!));
    }
  return sum / batch;
}

it('is the loss of each picture with the texts of its own, and has its gradient, as a loop in double precision', () => {
  const at = {
    images: tf.tensor2d(inputs.images, [batch, width]),
    texts: tf.tensor2d(inputs.texts, [batch * texts, width]),
    logit_scale: tf.tensor1d(inputs.logit_scale),
    logit_bias: tf.tensor1d(inputs.logit_bias),
  };
  const { value, gradients, aside } = differentiate(Object.keys(at), at, (p) => {
    const { loss, metrics } = hardNegatives.loss({
      settings: { weight: 1, texts },
      p,
      feeds: { negativeWeights: tf.tensor1d(weights) },
      features: { image: { pooled: p.images }, negatives: { pooled: p.texts } },
    } as unknown as ObjectiveInputs<HardNegativesSettings>);
    return { value: loss, aside: metrics! };
  });
  expect(value.dataSync()[0]).toBeCloseTo(slowLoss(inputs), 5);
  expect(aside.share!.dataSync()[0]).toBeCloseTo(9 / 15, 6);
  for (const name of Object.keys(inputs) as (keyof Inputs)[]) {
    const found = gradients[name]!.dataSync();
    for (let i = 0; i < found.length; i++) {
      const moved = (by: number) => slowLoss({ ...inputs, [name]: inputs[name].map((x, j) => (i === j ? x + by : x)) });
      const slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
      expect(Math.abs(found[i]! - slope), `${name} ${i}`).toBeLessThan(2e-6);
    }
  }
});
