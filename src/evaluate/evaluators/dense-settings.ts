import { z } from 'zod';

/** What a task may say of evaluators of patches. */
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
