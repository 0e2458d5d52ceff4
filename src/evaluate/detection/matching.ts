import { RunnerError } from '../../runtime/errors.ts';
import { softplus } from '../../runtime/softplus.ts';
import { assignment } from './assignment.ts';

/** Of focal loss, as OWL-ViT has them (scenic `owl_vit/configs/clip_b16.py`). */
export const focal = { alpha: 0.3, gamma: 2 } as const;

/** What is there in a picture, by number of category; a box is centre x, y, width and height in shares of the image. */
export interface Targets {
  readonly categories: readonly number[];
  /** (n, 4) */
  readonly boxes: Float32Array;
}

/**
 * The token of each true box, -1 where there are more boxes than tokens: the assignment with the least sum of what class, place
 * and overlap would lose (DETR, `matcher.py`; with focal loss as in Deformable DETR), each with weight 1.
 *
 * @param logits (T, C) and `boxes` (T, 4) of a picture
 * @param tokens how many of them are there; the others are padding
 */
export function matched(
  logits: Float32Array,
  boxes: Float32Array,
  { categories, boxes: truths }: Targets,
  { tokens, count }: { readonly tokens: number; readonly count: number },
): Int32Array {
  const n = categories.length;
  const costs = new Float64Array(n * tokens);
  for (const [i, category] of categories.entries())
    for (let t = 0; t < tokens; t++) {
      const cost = classCost(logits[t * count + category]!) + boxCost(boxes, 4 * t, truths, 4 * i);
      if (!Number.isFinite(cost))
        throw new RunnerError(
          'NonFinite',
          'the heads of a detector say no number of a token: lower detection.learningRate',
        );
      costs[i * tokens + t] = cost;
    }
  if (n <= tokens) return assignment(costs, n, tokens);
  const turned = Float64Array.from(costs, (_, at) => costs[(at % n) * tokens + Math.floor(at / n)]!);
  const tokenOf = new Int32Array(n).fill(-1);
  for (const [token, truth] of assignment(turned, tokens, n).entries()) tokenOf[truth] = token;
  return tokenOf;
}

/** What it loses to be said of the category, less what it loses not to be. */
function classCost(logit: number): number {
  const p = 1 / (1 + Math.exp(-logit));
  const { alpha, gamma } = focal;
  const right = alpha * (1 - p) ** gamma * softplus(-logit);
  return right - (1 - alpha) * p ** gamma * softplus(logit);
}

function boxCost(a: Float32Array, at: number, b: Float32Array, of: number): number {
  let apart = 0;
  for (let k = 0; k < 4; k++) apart += Math.abs(a[at + k]! - b[of + k]!);
  return apart - generalisedIou(a, at, b, of);
}

/** Of two boxes by their centres and sides (arXiv 1902.09630). */
function generalisedIou(a: Float32Array, at: number, b: Float32Array, of: number): number {
  let [shared, hull, areas] = [1, 1, [1, 1] as [number, number]];
  for (let k = 0; k < 2; k++) {
    const [low, high] = [a[at + k]! - a[at + 2 + k]! / 2, a[at + k]! + a[at + 2 + k]! / 2];
    const [other, end] = [b[of + k]! - b[of + 2 + k]! / 2, b[of + k]! + b[of + 2 + k]! / 2];
    shared *= Math.max(0, Math.min(high, end) - Math.max(low, other));
    hull *= Math.max(high, end) - Math.min(low, other);
    areas = [areas[0] * (high - low), areas[1] * (end - other)];
  }
  const union = areas[0] + areas[1] - shared;
  return shared / union - (hull - union) / hull;
}
