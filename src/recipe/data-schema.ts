import { z } from 'zod';
import { mixtureSchema } from './mixture.ts';
import { fraction, positive } from './number-schemas.ts';
import { captionsSchema, filterSchema, placeSchema, trainSchema } from './places-schema.ts';
import { readSchema } from './reading.ts';

/** What is trained on, of a recipe and of a phase. */

const augmentSchema = z.strictObject({
  scale: z
    .tuple([positive, positive])
    .default([1, 1])
    .describe('Side of the crop in sides of the image, drawn evenly.'),
  shift: fraction.default(0).describe('Largest shift of the crop in sides of the image.'),
});

const shuffleSchema = z.strictObject({
  examples: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(50_000)
    .describe('Examples that are shuffled together, or as many as 3 GiB of the disk cache hold.'),
});
export const resize = z.enum(['antialias', 'big_vision']);

export const dataSchema = z.strictObject({
  // Empty where a mixture says it.
  train: trainSchema
    .default([])
    .describe('Where the WebDataset tar shards lie in the bucket: one place or several. A mixture says it itself.'),
  mixture: mixtureSchema.optional(),
  mixtureAlpha: fraction
    .optional()
    .describe(
      'Of a mixture without weights: how often a source is drawn goes with its examples to this power. 1, as when it is left out, is in proportion to its size, 0 alike; 0.3 is usual for languages (temperature sampling).',
    ),
  shuffle: shuffleSchema
    .optional()
    .describe(
      'Examples are shuffled over parts of all shards, as with a mixture. Left out: over two shards or 512 MB of them, as in recipes of before.',
    ),
  evaluation: placeSchema.optional().describe('Shards that are never trained on.'),
  // These are optional without a default, so that recipes of before are what they were.
  read: readSchema
    .optional()
    .describe(
      'How shards that others wrote are read: siglip2 data look PREFIX says it. Left out: the JSON of this project.',
    ),
  evaluationRead: readSchema.optional().describe('How data.evaluation is read; as data.read where it is left out.'),
  regions: placeSchema
    .optional()
    .describe(
      'Where siglip2Annotate wrote the regions that a detector found in the shards of train; with captioning they are learned beside those of the examples.',
    ),
  filter: filterSchema
    .optional()
    .describe(
      'Name of a filter (siglip2Filter) of the shards of train: what it leaves out is passed over. Of a mixture: of every source without its own. Examples are shuffled as with shuffle then.',
    ),
  maxBroken: fraction
    .optional()
    .describe(
      'A run does not start on shards of which a larger share of the examples is broken; 0.05 where it is left out.',
    ),
  captions: captionsSchema
    .default([{ language: 'en', weight: 1 }])
    .describe('Languages to train on; each example has one of those that it has a caption in.'),
  resize: resize
    .optional()
    .describe(
      'How pictures become squares, in training, scoring and evaluation: antialias, as the processors of transformers do, so that what is served is what was trained; big_vision, without antialiasing, as the published models were trained, and as where it is left out. NaFlex always antialiases.',
    ),
  labelShare: fraction
    .default(0.5)
    .describe('Share of examples described by the first caption alone, the rest by label and tags.'),
  augment: augmentSchema.prefault({}).describe('The paper trains on unaugmented images; small data sets need some.'),
});

/** What a phase may say of its data otherwise than the recipe; what it does not say is as there. */
export const phaseDataSchema = z.strictObject({
  train: trainSchema.optional().describe('As in data.'),
  mixture: dataSchema.shape.mixture,
  mixtureAlpha: dataSchema.shape.mixtureAlpha,
  shuffle: dataSchema.shape.shuffle,
  read: readSchema.optional().describe('As in data.'),
  regions: placeSchema
    .optional()
    .describe('As in data. A phase with a train of its own has these alone: regions belong to shards.'),
  filter: filterSchema
    .optional()
    .describe('As in data. A phase with a train or a mixture of its own has this alone: a filter belongs to shards.'),
  captions: captionsSchema.optional().describe('Languages of this phase.'),
  resize: resize.optional().describe('As in data.'),
  labelShare: fraction.optional().describe('As in data.'),
  augment: augmentSchema.optional().describe('As in data.'),
});
