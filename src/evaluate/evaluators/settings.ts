import { z } from 'zod';

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

const maskClasses = z
  .int()
  .min(2)
  .max(255)
  .optional()
  .describe(
    'How many classes masks have; left out: one more than the largest in them. Those from there on are a fault.',
  );
const probe = (points: number, l2: number, iterations: number) => ({
  points: z.int().min(1).max(10_000).default(points).describe('Places of a picture that are learned from.'),
  l2: z.number().min(0).max(1e6).default(l2).describe('Weight of the penalty on features of deviation 1.'),
  iterations: z.int().min(1).max(100_000).default(iterations).describe('Steps of L-BFGS, at most.'),
});
const average = z
  .enum(['image', 'pixel'])
  .default('image')
  .describe('image: the mean over pictures of theirs, as DINOv2 and Probe3D do; pixel: over all pixels at once.');

export const segmentationSettings = z.strictObject({ classes: maskClasses, ...probe(64, 1e-3, 200) });

export const knnSegmentationSettings = z.strictObject({
  classes: maskClasses,
  k: z.int().min(1).max(1000).default(30).describe('Patches that vote.'),
  temperature: z.number().positive().max(100).default(0.02).describe('A patch counts exp(cosine / temperature).'),
  memory: z.int().min(1).max(1_000_000).default(100_000).describe('Patches of train that are looked among, at most.'),
});

export const depthSettings = z.strictObject({
  bins: z.int().min(2).max(1024).default(256).describe('Distances, at even steps, that the probe tells apart.'),
  least: z.number().positive().max(1000).default(0.001).describe('Metres; truth that is nearer counts nowhere.'),
  most: z.number().positive().max(65).default(10).describe('Metres; truth that is farther counts nowhere.'),
  crop: z.enum(['none', 'eigen']).default('none').describe("eigen: NYU's pixels that are usually evaluated."),
  average,
  ...probe(64, 1e-3, 200),
});

export const normalsSettings = z.strictObject({ average, ...probe(64, 1e-3, 200) });

export const openSegmentationSettings = z.strictObject({
  through: z
    .enum(['head', 'patches'])
    .default('head')
    .describe('head: a patch as the MAP head makes it alone (MaskCLIP); patches: as the encoder leaves it.'),
  background: z
    .strictObject({
      class: z.int().min(0).max(254).default(0).describe('Its number among classes.names; its name counts nowhere.'),
      below: z.number().min(-1).max(1).describe('What is like no text by more than this cosine is background.'),
    })
    .optional()
    .describe('A class without a text of its own; left out: every patch is like some text.'),
});

/** Those that learn from `train`. */
export const learners = ['knn', 'fewShot', 'logistic', 'segmentation', 'knnSegmentation', 'depth', 'normals'] as const;

export const evaluatorSettings = z.strictObject({
  zeroShot: zeroShotSettings.optional().describe('Classification by the names of classes.'),
  retrieval: retrievalSettings.optional().describe('Pictures by texts, and texts by pictures.'),
  knn: knnSettings.optional().describe('Classification by the nearest pictures of train (DINO).'),
  fewShot: fewShotSettings
    .optional()
    .describe('Classification by a closed-form probe of a few examples (big_vision fewshot_lsr).'),
  logistic: logisticSettings.optional().describe('Classification by a logistic probe.'),
  segmentation: segmentationSettings.optional().describe('Classes of pixels by a linear probe of patches.'),
  knnSegmentation: knnSegmentationSettings
    .optional()
    .describe('Classes of pixels by the nearest patches of train (Hummingbird).'),
  depth: depthSettings.optional().describe('Distance of pixels by a linear probe of patches (DINOv2, TIPS).'),
  normals: normalsSettings.optional().describe('Directions of surfaces by a linear probe of patches (Probe3D).'),
  openSegmentation: openSegmentationSettings.optional().describe('Classes of pixels by the names of classes.'),
});
export type EvaluatorName = keyof z.infer<typeof evaluatorSettings>;
