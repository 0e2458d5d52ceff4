import { z } from 'zod';
import {
  depthSettings,
  knnSegmentationSettings,
  normalsSettings,
  openSegmentationSettings,
  segmentationSettings,
} from './dense-settings.ts';

const group = z.string().min(1).max(60);

/** What a task may say of each evaluator; an evaluator that it does not name is not run. */
const ks = (...usual: number[]) => z.array(z.int().min(1).max(1000)).min(1).max(20).default(usual);

export const zeroShotSettings = z.strictObject({
  top: ks(1, 5).describe('A picture counts as right when one of its classes is among so many nearest.'),
});

export const retrievalSettings = z.strictObject({
  top: ks(1, 5, 10).describe('Recall at these: one right answer among so many nearest.'),
});

export const knnSettings = z.strictObject({
  k: ks(10, 20, 100, 200).describe('Neighbours that vote.'),
  temperature: z.number().positive().max(100).default(0.07).describe('A neighbour counts exp(cosine / temperature).'),
});

export const fewShotSettings = z.strictObject({
  label: group
    .optional()
    .describe('Told by pictures in the place of their class: a name of `groups` of their JSON, such as country.'),
  shots: ks(10).describe('Examples of each class that are learned from.'),
  seeds: z.int().min(1).max(100).default(3).describe('Draws of those examples; the mean is told, and their spread.'),
  l2: z.number().positive().default(1024).describe('Weight of the penalty, 2^10 in big_vision.'),
});

export const logisticSettings = z.strictObject({
  c: z.number().positive().max(1e9).default(1).describe('Inverse weight of the penalty, as C of scikit-learn.'),
  features: z
    .enum(['standard', 'unit', 'raw'])
    .default('standard')
    .describe(
      'standard: each number by mean and deviation of the training set; unit: rows of length 1; raw: as they are.',
    ),
  iterations: z.int().min(1).max(100_000).default(1000).describe('Steps of L-BFGS, at most.'),
});

export const groupsSettings = z.strictObject({
  by: z.array(group).min(1).max(20).describe('Names of `groups` of the JSON of examples, such as income.'),
  top: z.int().min(1).max(1000).default(1).describe('A picture is right when one of its classes is among so many.'),
});

export const biasSettings = z.strictObject({});

export const calibrationSettings = z.strictObject({
  over: z
    .enum(['classes', 'pairs'])
    .default('classes')
    .describe('classes: how sure it is of the best class; pairs: from which score on a caption is more likely right.'),
  bins: z.int().min(1).max(1000).default(15).describe('Of confidence, of equal width.'),
});
const decoderProbe = (usual: { readonly steps: number; readonly learningRate: number }) => ({
  depth: z.int().min(1).max(48).default(6).describe('Layers of the decoder, which has the width of the text tower.'),
  steps: z.int().min(1).max(10_000_000).default(usual.steps).describe('Steps that it learns.'),
  batch: z.int().min(1).max(4096).default(64).describe('Texts of a step.'),
  learningRate: z.number().positive().max(1).default(usual.learningRate).describe('At the top of its cosine.'),
  weightDecay: z.number().min(0).max(1).default(1e-4).describe('As in optimizer of a recipe.'),
  warmup: z.number().min(0).max(1).default(0.05).describe('Share of the steps in which the learning rate goes up.'),
});

export const referringProbeSettings = z.strictObject(decoderProbe({ steps: 20_000, learningRate: 1e-3 }));
export const languageModelSettings = z.strictObject(decoderProbe({ steps: 20_000, learningRate: 1e-3 }));

/** They take what the trained decoder of the model says as it is. */
const asItSays = z.strictObject({});

export const evaluatorSettings = z.strictObject({
  zeroShot: zeroShotSettings.optional().describe('Classification by the names of classes.'),
  retrieval: retrievalSettings.optional().describe('Pictures by texts, and texts by pictures.'),
  knn: knnSettings.optional().describe('Classification by the nearest pictures of train (DINO).'),
  fewShot: fewShotSettings
    .optional()
    .describe('Classification by a closed-form probe of a few examples (big_vision fewshot_lsr).'),
  logistic: logisticSettings.optional().describe('Classification by a logistic probe.'),
  groups: groupsSettings.optional().describe('Zero-shot classification by region, income or another group.'),
  bias: biasSettings.optional().describe('Which of two texts pictures are nearer to that should say nothing of them.'),
  calibration: calibrationSettings.optional().describe('Whether the model is as sure as it is right.'),
  captioning: asItSays.optional().describe('Captions that the decoder of the model says, against those of people.'),
  referring: asItSays.optional().describe('Boxes that the decoder of the model says of referring expressions.'),
  grounded: asItSays.optional().describe('What the decoder of the model says that a box shows.'),
  referringProbe: referringProbeSettings
    .optional()
    .describe('Boxes that a fresh decoder says, which learns from frozen features of train (arXiv 2502.14786, 3.4.1).'),
  languageModel: languageModelSettings
    .optional()
    .describe('Captions and answers of a fresh text decoder, which learns them from frozen features of train.'),
  segmentation: segmentationSettings.optional().describe('Classes of pixels by a linear probe of patches.'),
  knnSegmentation: knnSegmentationSettings
    .optional()
    .describe('Classes of pixels by the nearest patches of train (Hummingbird).'),
  depth: depthSettings.optional().describe('Distance of pixels by a linear probe of patches (DINOv2, TIPS).'),
  normals: normalsSettings.optional().describe('Directions of surfaces by a linear probe of patches (Probe3D).'),
  openSegmentation: openSegmentationSettings.optional().describe('Classes of pixels by the names of classes.'),
});
/** Those that learn from `train`. */
export const learners: readonly EvaluatorName[] = [
  ...(['knn', 'fewShot', 'logistic'] as const),
  ...(['segmentation', 'knnSegmentation', 'depth', 'normals'] as const),
  ...(['referringProbe', 'languageModel'] as const),
];
export type EvaluatorName = keyof z.infer<typeof evaluatorSettings>;
