import { z } from 'zod';
import { issueText } from '../recipe/issue-text.ts';
import { languagePattern } from '../recipe/languages.ts';
import { allowedPlace, placePattern } from '../recipe/places.ts';
import { readProblems, readSchema } from '../recipe/reading.ts';
import { RunnerError } from '../runtime/errors.ts';
import { bestTemplates } from './queries.ts';

const prefix = z
  .string({ error: ({ input }) => allowedPlace(input) })
  .regex(placePattern, { error: ({ input }) => allowedPlace(input) });
const share = z.number().min(0).max(1);
const text = z.string().min(1).max(500);
const templates = z.union([z.literal('best'), z.array(text).min(1).max(100)], '"best", or a list of texts with {}');

/** What siglip2Annotate is started with. */
export const annotationSchema = z.strictObject({
  data: z.union([prefix, z.array(prefix).min(1).max(100)]).describe('Where the shards lie: one place or several.'),
  read: readSchema.optional().describe('How shards that others wrote are read, as data.read of a recipe.'),
  detector: z
    .union(
      [z.string().startsWith('/'), prefix],
      'a prefix of the bucket, or a folder of the workers, such as /opt/owlv2',
    )
    .describe('The folder of the detector: a prefix of the bucket, or an absolute path on every worker.'),
  out: prefix.describe('Prefix under which the regions are written.'),
  language: z
    .string()
    .regex(languagePattern, 'a language tag (BCP 47), such as en')
    .default('en')
    .describe('Language of the captions that queries are made of.'),
  ngrams: z
    .strictObject({
      longest: z.int().min(1).max(100).default(10).describe('Words of a query, at most.'),
      most: z.int().min(0).max(10_000).default(300).describe('Queries of a picture, at most; 0: none of its captions.'),
    })
    .prefault({}),
  categories: z
    .union([z.array(text).min(1).max(20_000), prefix], 'a list of texts, or the key of a file with one on each line')
    .optional()
    .describe('Queries for every picture: a list, or the key of a file with one on each line.'),
  templates: templates
    .default('best')
    .describe('Texts that a query is asked in; best: the seven of CLIP that OWL-ViT ensembles over.'),
  categoryScale: share.default(0.3).describe('What scores of categories count for beside those of captions.'),
  imageThreshold: share.default(0.3).describe('A picture none of whose boxes has this score has none.'),
  boxThreshold: share.default(0.1).describe('Boxes with a lower score are dropped.'),
  nms: share.default(0.7).describe('Of boxes that overlap more (intersection over union) the best stays; 1: all.'),
  mostBoxes: z.int().min(1).max(1000).default(100).describe('Boxes of a picture, at most.'),
});

/** With every default. */
export type AnnotationSettings = z.infer<typeof annotationSchema>;

/** RecipeInvalid, with everything that is wrong in one sentence. */
export function parseAnnotation(json: unknown): AnnotationSettings {
  const { success, data, error } = annotationSchema.safeParse(json);
  const problems = success
    ? [...readProblems(data.read, 'read').map(({ message }) => message), ...meaningless(data)]
    : error.issues.map((issue) => issueText(issue, json, annotationSchema));
  if (problems.length > 0)
    throw new RunnerError(
      'RecipeInvalid',
      `siglip2Annotate can't begin: ${problems.join('; ')}; see src/annotation/README.md`,
    );
  return data!;
}

function meaningless({ ngrams, categories, templates: said }: AnnotationSettings): string[] {
  const problems: string[] = [];
  if (ngrams.most === 0 && categories === undefined)
    problems.push('ngrams.most is 0 and there are no categories: nothing would be asked');
  const bare = said === 'best' ? undefined : said.find((one) => !one.includes('{}'));
  if (bare !== undefined) problems.push(`templates: "${bare.slice(0, 60)}" has no place for the query, {}`);
  return problems;
}

export const templatesOf = ({ templates: said }: Pick<AnnotationSettings, 'templates'>): readonly string[] =>
  said === 'best' ? bestTemplates : said;
