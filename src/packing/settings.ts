import { z } from 'zod';
import { languagePattern } from '../recipe/languages.ts';
import { allowedPlace, isWithin, placePattern } from '../recipe/places.ts';
import { RunnerError } from '../runtime/errors.ts';

/** Layouts that are read; `imagefolder` is what Hugging Face calls so. */
export const layouts = ['folder', 'imagefolder', 'jsonl', 'csv', 'parquet', 'karpathy', 'coco'] as const;
export type Layout = (typeof layouts)[number];

const place = z.string().regex(placePattern, { error: ({ input }) => allowedPlace(input) });
const language = z.string().regex(languagePattern, 'a language tag (BCP 47), such as en, zh-CN or es-419');
const column = z.string().min(1).max(200);

export const packSchema = z.strictObject({
  from: place.describe('Key prefix of what is there.'),
  to: place.describe('Key prefix of the shards; nothing else may lie there.'),
  layout: z.enum(layouts).optional().describe('Left out: guessed from the names of the files.'),
  texts: z
    .enum(['txt', 'class', 'name'])
    .optional()
    .describe('Of a folder: a .txt beside each picture, its folder, or its name. Left out: guessed.'),
  pictures: place
    .optional()
    .describe('Key prefix that file names of a table begin at. Left out: the folder of the table.'),
  image: column.optional().describe('Column with the picture or its file name. Left out: guessed.'),
  captions: z
    .record(column, language)
    .optional()
    .describe('Columns with texts, and their languages. Left out: guessed.'),
  language: language.default('en').describe('Of texts that are not told by language.'),
  splits: z.array(z.string().min(1).max(60)).min(1).optional().describe('Only rows whose split is one of these.'),
  side: z
    .int()
    .min(16)
    .max(4096)
    .optional()
    .describe('Shorter side in pixels; smaller pictures stay as they are. 256.'),
  format: z.enum(['webp', 'jpg', 'png', 'original']).default('webp'),
  quality: z.int().min(1).max(100).optional().describe('Of webp and jpg. 80.'),
  shardBytes: z
    .int()
    .min(10_000)
    .max(2 ** 31)
    .default(256_000_000)
    .describe('No shard is larger.'),
  partExamples: z
    .int()
    .min(1)
    .max(10_000)
    .default(10_000)
    .describe('Pictures of one activity, and of a shard at most.'),
  duplicates: z
    .enum(['near', 'exact', 'keep'])
    .default('near')
    .describe(
      'near: a picture only once, its copies in other sizes and qualities too; exact: equal pixels; keep: all stay.',
    ),
});

export type PackSettings = z.infer<typeof packSchema>;

/** What `siglip2Pack` was started with, with its defaults. RecipeInvalid names everything that is wrong with it. */
export function parsePack(value: unknown): PackSettings {
  const parsed = packSchema.safeParse(value ?? {});
  if (!parsed.success) {
    const problems = parsed.error.issues.map(({ path, message }) => `${path.join('.') || 'the input'}: ${message}`);
    throw new RunnerError('RecipeInvalid', `this can't be packed: ${problems.slice(0, 10).join('; ')}`);
  }
  const { from, to, format, side, quality } = parsed.data;
  if (isWithin(from, to) || isWithin(to, from))
    throw new RunnerError(
      'RecipeInvalid',
      `to is ${to} and from is ${from}; neither may lie within the other: name another prefix for the shards`,
    );
  if (format === 'original' && (side !== undefined || quality !== undefined))
    throw new RunnerError('RecipeInvalid', 'format is original, which keeps the bytes; leave side and quality out');
  if (format === 'png' && quality !== undefined)
    throw new RunnerError('RecipeInvalid', 'format is png, which loses nothing; leave quality out');
  return parsed.data;
}
