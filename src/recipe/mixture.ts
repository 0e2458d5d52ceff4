import { z } from 'zod';
import { captionsSchema, filterSchema, placeSchema, trainSchema } from './places-schema.ts';
import { readSchema } from './reading.ts';

const sourceSchema = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9._-]{1,60}$/, 'a name of A-Z, a-z, 0-9, ., _ and -')
    .describe('As reports, figures and the order of its examples know it.'),
  train: trainSchema.describe('Where its shards lie: one place or several.'),
  weight: z
    .number()
    .positive()
    .optional()
    .describe('How often it is drawn, against the weights of the others. Left out of all: see mixtureAlpha.'),
  read: readSchema.optional().describe('How it is read. Left out: the JSON of this project.'),
  regions: placeSchema
    .optional()
    .describe(
      'Where the regions lie that a detector found in its shards, as in data. Left out: it has those of its own JSON.',
    ),
  filter: filterSchema.optional().describe('As in data; as there where it is left out.'),
  captions: captionsSchema
    .optional()
    .describe('Languages of one example, as in data.captions; as there where it is left out.'),
  languages: captionsSchema
    .optional()
    .describe(
      'Languages by weight over examples: of the draws of this source each language has its share, from the examples that have it.',
    ),
  labelShare: z.number().min(0).max(1).optional().describe('As in data.'),
});

/** Sources that are trained on together, in the place of `train`. */
export const mixtureSchema = z
  .array(sourceSchema)
  .min(1)
  .max(100)
  .describe('Sources that are drawn from by weight, in the place of train and read.');

export type MixtureSource = z.infer<typeof sourceSchema>;
