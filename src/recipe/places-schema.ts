import { z } from 'zod';
import { languagePattern } from './languages.ts';
import { allowedPlace, placePattern } from './places.ts';

/** A place in the bucket. */
export const placeSchema = z.string().regex(placePattern, { error: ({ input }) => allowedPlace(input) });

/** One or several. */
export const trainSchema = z.union([placeSchema, z.array(placeSchema).min(1).max(100)], {
  error: ({ input }) => allowedPlace(input, ', or a list'),
});

/** Name of a filter, under which its weights lie in the bucket. */
export const filterSchema = z
  .string()
  .regex(/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,60}$/, 'the name of a filter, of A-Z, a-z, 0-9, ., _ and -');

const languageSchema = z.strictObject({
  language: z
    .string()
    .regex(languagePattern, 'a language tag (BCP 47), such as en, zh-CN or es-419, or other')
    .describe('As the captions of the data have it, capitals too; other: any but the ones named.'),
  weight: z.number().positive().describe('How often the language is drawn, against the weights of the others.'),
});

/** Languages by weight. */
export const captionsSchema = z.array(languageSchema).min(1);
