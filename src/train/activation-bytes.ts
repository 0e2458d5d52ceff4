import { patchGrid } from '../model/parameters.ts';
import type { TowerSize } from '../model/sizes.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { keptGroup } from './kept-features.ts';
import { keepsFeatures } from './losses.ts';
import { type Pass, passesOf } from './passes.ts';

/**
 * Bytes of a token by precision, per number of the width, of the MLP, and of the scores of all heads. Kept by a layer for
 * the backward pass: inputs and normal forms of two norms, queries, keys, values, sums; both sides of the GELU; the softmax.
 * At work in one layer, beside what is kept: gradients of scores, or of the MLP. The first follow from the graph, the others
 * were measured (slopes over batch, depth, heads and MLP of a tower of width 256).
 */
const perToken = {
  f32: { width: 32, mlp: 8, scores: 4, crossed: 16, workScores: 16, workMlp: 18, ends: 16, pixel: 4, product: 4 },
  bf16: { width: 20, mlp: 4, scores: 2, crossed: 10, workScores: 11, workMlp: 13, ends: 10, pixel: 2, product: 2 },
} as const;

/** The residual stream is float32. */
const residual = 4;

/** What the towers and the decoder keep of `count` examples for the backward pass, and what the largest layer works with. */
export function activationBytes(settings: PhaseSettings, count: number, patches: number | null): number {
  // What is left to measurement is tried in both.
  const of = perToken[settings.precision === 'bf16' ? 'bf16' : 'f32'];
  const again = settings.remat === 'blocks';
  let kept = 0;
  let most = 0;
  let alone = 0;
  for (const pass of passesOf(settings, patches)) {
    const { size, sequences, length, patch, memory, reach } = pass;
    const { width, mlp, heads } = size;
    const tokens = sequences * length;
    const crossed = memory ? of.crossed * width + of.scores * heads * memory.length : 0;
    const keys = memory ? of.scores * memory.length * width : 0;
    const products = of.product * scaledProducts(settings, size);
    const layer = tokens * (of.width * width + of.mlp * mlp + of.scores * heads * length + crossed + products) + keys;
    const scores = of.workScores * heads * Math.max(length, memory?.length ?? 0);
    const work = tokens * Math.max(scores, of.workMlp * mlp);
    if (patch && keepsFeatures(settings)) {
      // Pictures are embedded before the step, some at a time.
      alone = keptGroup(settings) * (layer + work);
      continue;
    }
    most = Math.max(most, work + (again || reach.through === 0 ? layer : 0));
    if (!reach.any) continue;
    kept += reach.through * (again ? residual * tokens * width : layer);
    kept += tokens * (of.ends * width + (patch ? of.pixel * 3 * patch ** 2 : 0) + positions(settings, pass));
  }
  return Math.max(count * (kept + most), alone);
}

/** Numbers of a token in a layer that DoRA keeps: what comes of each adapted weight, before its rows have their lengths. */
function scaledProducts({ lora }: PhaseSettings, { width, mlp }: TowerSize): number {
  if (!lora?.useDora) return 0;
  return lora.targets.reduce((sum, target) => sum + (target === 'fc1' ? mlp : width), 0);
}

/** Of images of any shape: the share of each stored position in each patch, twice. */
function positions({ model }: PhaseSettings, { patch }: Pass): number {
  return patch && model.vision.kind === 'naflex' ? 2 * 4 * patchGrid(model) ** 2 : 0;
}
