import type { Tensor, Tensor2D } from '@tensorflow/tfjs';
import type { FoundBox } from '../../metrics/detection-match.ts';
import type { Parameters } from '../../model/layers.ts';
import { tf } from '../../runtime/tensorflow.ts';
import { inputsOf } from './batch.ts';
import { detectionHeads } from './heads.ts';
import type { DetectionPicture } from './pictures.ts';

/**
 * What the heads find in some pictures: of each the tokens and categories with the highest scores, each with the box of its
 * token, in pixels. No box is left out for another that lies over it, as in OWL-ViT.
 */
export function findBoxes(
  parameters: Parameters,
  queries: Tensor,
  pictures: readonly DetectionPicture[],
  most: number,
): FoundBox[][] {
  const [count, width] = queries.shape as [number, number];
  const length = pictures[0]!.patches.length / width;
  const { values, indices, boxes } = tf.tidy(() => {
    const { tokens, bias } = inputsOf(
      pictures.map((picture) => ({ picture })),
      width,
    );
    const said = detectionHeads(parameters, tokens, queries, bias);
    // Padding is no place.
    const there = Float32Array.from({ length: pictures.length * length }, (_, at) =>
      at % length < pictures[Math.floor(at / length)]!.tokens ? 0 : -1e9,
    );
    const logits = said.logits.add(tf.tensor2d(there, [there.length, 1])).reshape([pictures.length, length * count]);
    const { values, indices } = tf.topk(logits as Tensor2D, Math.min(most, length * count));
    return { values: tf.sigmoid(values).dataSync(), indices: indices.dataSync(), boxes: said.boxes.dataSync() };
  }) as unknown as { values: Float32Array; indices: Int32Array; boxes: Float32Array };
  const each = values.length / pictures.length;
  return pictures.map(({ tokens, example }, i) => {
    const [across, down] = example.size!;
    const found: FoundBox[] = [];
    for (let k = i * each; k < (i + 1) * each; k++) {
      const token = Math.floor(indices[k]! / count);
      if (token >= tokens) continue;
      const [x, y, w, h] = boxes.subarray(4 * (i * length + token)) as unknown as [number, number, number, number];
      const box = [(x - w / 2) * across, (y - h / 2) * down, w * across, h * down] as const;
      found.push({ category: indices[k]! % count, box, score: values[k]! });
    }
    return found;
  });
}
