import type { Tensor } from '@tensorflow/tfjs';
import type { Tensors } from '../compile/definition.ts';
import { chunkedCrossEntropy } from '../compile/ops/chunked-cross-entropy.ts';
import { type DecoderMemory, decoder } from '../model/decoder.ts';
import { decoderSpecs } from '../model/decoder-parameters.ts';
import type { TowerOptions } from '../model/layers.ts';
import type { ModelConfig } from '../model/sizes.ts';
import { captionTasks } from '../recipe/caption-tasks.ts';
import type { CaptioningSettings } from '../recipe/objective-settings.ts';
import { tf } from '../runtime/tensorflow.ts';
import { isEncoder, type Objective } from './objective.ts';

/** What is to be said of `batch` images, whose texts lie together: (R, L) int32, (R, L) and (R) int32. */
export type TextFeeds = Readonly<Record<'targets' | 'targetWeights' | 'parallel', Tensor>>;

/**
 * The sum over texts of the weighted cross-entropy of their tokens, over the number of images; and what each token adds to it,
 * (R L) without a gradient.
 */
export function textsLoss(
  p: Tensors,
  model: ModelConfig,
  settings: Pick<CaptioningSettings, 'depth' | 'chunk'>,
  { targets, targetWeights, parallel }: TextFeeds,
  memory: DecoderMemory,
  batch: number,
  tower: TowerOptions = {},
): { loss: Tensor; rows: Tensor } {
  return chunkedCrossEntropy(
    {
      hidden: decoder(p, model, settings, targets, parallel, memory, batch, tower),
      weight: p['decoder.lm_head.weight']!,
      bias: p['decoder.lm_head.bias']!,
      labels: targets.reshape([-1]),
      rowWeights: targetWeights.reshape([-1]).mul(tf.scalar(1 / batch)),
    },
    settings.chunk,
  );
}

/**
 * LocCa (SigLIP 2, section 2.2, after arXiv 2403.19596): from the un-pooled image features a decoder says the caption,
 * where a described region is, and what a region shows. Each is a mean over the tokens of a text, then over the batch
 * (big_vision `trainers/proj/cappa/generative.py`), and the three are added; what each is comes as a metric. A text without tokens that count, such as
 * that of a missing region, counts as zero.
 *
 * Feeds, for the three texts of an example together: `targets` (B 3, L) int32; `targetWeights` (B 3, L), one over the
 * number of tokens that count, or 0; `parallel` (B 3) int32, whether all tokens are predicted at once.
 */
export const captioning: Objective<CaptioningSettings> = {
  parameters: (settings, model) => decoderSpecs(model, settings),
  reads: isEncoder,
  feeds(_, { text }, count) {
    const rows = count * captionTasks.length;
    return {
      targets: { shape: [rows, text.length], dtype: 'int32' },
      targetWeights: { shape: [rows, text.length], dtype: 'float32' },
      parallel: { shape: [rows], dtype: 'int32' },
    };
  },
  loss({ settings, model, tower, p, feeds, features }) {
    const { targets } = feeds;
    const [rowsOfBatch, length] = targets!.shape as [number, number];
    const tasks = captionTasks.length;
    const batch = rowsOfBatch / tasks;
    const { loss, rows } = textsLoss(p, model, settings, feeds as TextFeeds, features.image, batch, tower);
    const apart = rows.reshape([batch, tasks, length]).sum(2).sum(0);
    const metrics = captionTasks.map((task, i) => [task, apart.slice([i], [1]).reshape([])]);
    return { loss, metrics: Object.fromEntries(metrics) };
  },
};
