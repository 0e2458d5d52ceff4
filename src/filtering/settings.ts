import { z } from 'zod';
import { checkpointOfRunSchema } from '../recipe/curation.ts';
import { issueText } from '../recipe/issue-text.ts';
import { languagePattern } from '../recipe/languages.ts';
import { filterSchema as nameSchema, trainSchema } from '../recipe/places-schema.ts';
import { readProblems, readSchema } from '../recipe/reading.ts';
import { isRunnerError, RunnerError } from '../runtime/errors.ts';
import { firstState } from './balance.ts';
import { balanceSettings } from './balance-settings.ts';
import { textRules } from './text-rules.ts';
import { readerOf, wordLists } from './word-lists.ts';

const duplicates = z.strictObject({
  of: z
    .enum(['image', 'pair'])
    .default('image')
    .describe('image: each picture once, whatever its texts say; pair: each picture with the same texts once.'),
  bounds: z
    .enum(['near', 'exact'])
    .default('near')
    .describe('near: copies in other sizes and qualities too; exact: equal pixels.'),
});

const agreement = z.strictObject({
  languages: z
    .array(z.string().regex(languagePattern, 'a language tag (BCP 47), such as en'))
    .min(1)
    .max(100)
    .default(['en'])
    .describe('Languages of the texts, of each the first one; of several the one that agrees best counts.'),
  least: z.number().min(-1).max(1).optional().describe('Examples with a lower cosine are left out.'),
  lowest: z.number().min(0).max(1).optional().describe('In its place: the share of the examples that is left out.'),
});

const embeddingDuplicates = z.strictObject({
  cosine: z
    .number()
    .min(0)
    .max(1)
    .default(0.95)
    .describe('A picture goes whose embedding has this cosine, or a higher one, to that of one before it.'),
});

const balance = z.strictObject({
  ...balanceSettings.shape,
  lists: wordLists.describe('Words that groups and labels are told by.'),
  language: z
    .string()
    .regex(languagePattern, 'a language tag (BCP 47), such as en')
    .default('en')
    .describe('Of the texts that are looked up, which are all of an example.'),
});

/** What siglip2Filter is started with. */
export const filterSettingsSchema = z.strictObject({
  name: nameSchema.describe(
    'What recipes call it; a filter of that name is replaced, for runs that are planned from then on.',
  ),
  data: trainSchema.describe('Where the shards lie: one place or several.'),
  read: readSchema.optional().describe('How shards that others wrote are read, as data.read of a recipe.'),
  model: checkpointOfRunSchema
    .optional()
    .describe(
      'The model of agreement and embeddingDuplicates: a checkpoint of a run, or what siglip2 import has put there.',
    ),
  resize: z
    .enum(['antialias', 'big_vision'])
    .default('antialias')
    .describe('How pictures become the squares of that model, as data.resize of a recipe.'),
  agreement: agreement.optional().describe('Leaves out examples whose picture and text a model finds little alike.'),
  text: textRules.optional().describe('Leaves out examples none of whose texts keeps to the rules.'),
  duplicates: duplicates.optional().describe('Leaves out pictures that are another one, by their pixels.'),
  embeddingDuplicates: embeddingDuplicates
    .optional()
    .describe('Leaves out pictures that a model finds all but the same as another one.'),
  balance: balance
    .optional()
    .describe('Weighs examples so that groups have their shares and are tied to no label (arXiv 2403.04547).'),
});

/** With every default. */
export type FilterSettings = z.infer<typeof filterSettingsSchema>;

/** What a filter can do, in the order in which it is done: each step looks at what those before it have left. */
export const filterSteps = [
  'agreement',
  'text',
  'duplicates',
  'embeddingDuplicates',
  'balance',
] as const satisfies readonly (keyof FilterSettings)[];

/** RecipeInvalid, with everything that is wrong in one sentence. */
export function parseFilter(json: unknown): FilterSettings {
  const { success, data, error } = filterSettingsSchema.safeParse(json ?? {});
  const problems = success
    ? [...readProblems(data.read, 'read').map(({ message }) => message), ...meaningless(data)]
    : error.issues.map((issue) => issueText(issue, json, filterSettingsSchema));
  if (problems.length > 0)
    throw new RunnerError(
      'RecipeInvalid',
      `siglip2Filter can't begin: ${problems.slice(0, 10).join('; ')}; see src/filtering/README.md`,
    );
  return data!;
}

function meaningless(settings: FilterSettings): string[] {
  if (filterSteps.every((step) => settings[step] === undefined))
    return [`it has no step, and would keep everything; allowed, one or more: ${filterSteps.join(', ')}`];
  const problems: string[] = [];
  const { agreement: agrees, embeddingDuplicates: near, model } = settings;
  if ((agrees ?? near) && !model)
    problems.push(
      'model is missing; needed for agreement and embeddingDuplicates: a checkpoint, such as {"run": "base", "phase": "import"}',
    );
  if (model && !(agrees ?? near)) problems.push('model is given; it is allowed with agreement or embeddingDuplicates');
  if (agrees && (agrees.least === undefined) === (agrees.lowest === undefined))
    problems.push('agreement needs one of least, a cosine, and lowest, a share');
  if (settings.balance) problems.push(...listProblems(settings.balance.lists));
  return problems;
}

function listProblems(lists: z.infer<typeof wordLists>): string[] {
  try {
    firstState(readerOf(lists).bounds);
    return [];
  } catch (error) {
    if (!isRunnerError(error, 'RecipeInvalid')) throw error;
    return [`balance: ${error.message}`];
  }
}
