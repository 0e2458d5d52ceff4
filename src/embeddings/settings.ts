import { z } from 'zod';
import { issueText } from '../recipe/issue-text.ts';
import { languagePattern } from '../recipe/languages.ts';
import { filterSchema as nameSchema, trainSchema } from '../recipe/places-schema.ts';
import { readProblems, readSchema } from '../recipe/reading.ts';
import { RunnerError } from '../runtime/errors.ts';

/** What siglip2Embed is started with. */
export const embeddingSettingsSchema = z.strictObject({
  name: nameSchema.describe('What the embeddings are found by.'),
  model: z
    .string('RUN/PHASE, RUN/PHASE@STEP, or an absolute path of a model folder on the workers')
    .min(1)
    .max(4096)
    .describe('A checkpoint, an import, or an absolute path of a model folder on the workers.'),
  data: trainSchema.describe('Where the shards lie: one place or several.'),
  read: readSchema.optional().describe('How shards that others wrote are read, as data.read of a recipe.'),
  of: z
    .array(z.enum(['images', 'texts']))
    .min(1)
    .max(2)
    .default(['images', 'texts'])
    .describe('What is embedded: pictures, their captions, or both.'),
  languages: z
    .array(z.string().regex(languagePattern, 'a language tag (BCP 47), such as en'))
    .min(1)
    .max(200)
    .default(['en'])
    .describe('Languages of the captions; each caption is a text of its own.'),
  captions: z
    .int('a whole number of 1 to 1000')
    .min(1)
    .max(1000)
    .default(16)
    .describe('Captions of a picture and language, the first ones.'),
  rows: z
    .enum(['unit', 'raw'])
    .default('unit')
    .describe('unit: of length 1, so that products are cosines; raw: as the model makes them (pooler_output).'),
  patches: z
    .boolean()
    .default(false)
    .describe('Whether the last hidden state of every patch is kept too, as the model makes it.'),
  maxNumPatches: z
    .int('a whole number of 1 to 65536')
    .min(1)
    .max(65_536)
    .optional()
    .describe('Patches of a picture, of NaFlex models; left out: what the processor of the model says.'),
});

/** With every default. */
export type EmbeddingSettings = z.infer<typeof embeddingSettingsSchema>;

/** What people look for here, and what the model says of itself. */
const ofTheModel = ['resize', 'resolution', 'size', 'mean', 'std', 'text', 'case', 'length', 'lowerCase', 'precision'];

/** RecipeInvalid, with everything that is wrong in one sentence. */
export function parseEmbedding(json: unknown): EmbeddingSettings {
  const { success, data, error } = embeddingSettingsSchema.safeParse(json ?? {});
  const problems = success
    ? [...readProblems(data.read, 'read').map(({ message }) => message), ...meaningless(data)]
    : error.issues.map((issue) => issueText(issue, json, embeddingSettingsSchema));
  const taken = ofTheModel.filter((name) => json !== null && typeof json === 'object' && Object.hasOwn(json, name));
  if (taken.length > 0)
    problems.push(`${taken.join(' and ')} can't be set: pictures and texts are prepared as the model was trained`);
  if (problems.length > 0)
    throw new RunnerError(
      'RecipeInvalid',
      `siglip2Embed can't begin: ${problems.slice(0, 10).join('; ')}; see src/embeddings/README.md`,
    );
  return data!;
}

function meaningless({ of, patches, rows, read, languages }: EmbeddingSettings): string[] {
  const problems: string[] = [];
  if (patches && !of.includes('images'))
    problems.push('patches are of pictures, and of has none; allowed with "images"');
  if (new Set(of).size < of.length) problems.push(`of has ${of[0]} twice; each once is allowed`);
  const twice = languages.find((one, i) => languages.indexOf(one) < i);
  if (twice !== undefined) problems.push(`languages has ${twice} twice; each once is allowed`);
  if (rows === 'raw' && of.includes('texts') && (read?.templates ?? read?.fields) !== undefined)
    problems.push('rows is "raw", and read puts texts into templates, whose mean has no such row; allowed: "unit"');
  return problems;
}
