import { z } from 'zod';
import { filterSchema as nameSchema, trainSchema } from '../recipe/places-schema.ts';
import { readProblems, readSchema } from '../recipe/reading.ts';
import { RunnerError } from '../runtime/errors.ts';

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

/** What siglip2Filter is started with. */
export const filterSettingsSchema = z.strictObject({
  name: nameSchema.describe(
    'What recipes call it; a filter of that name is replaced, for runs that are planned from then on.',
  ),
  data: trainSchema.describe('Where the shards lie: one place or several.'),
  read: readSchema.optional().describe('How shards that others wrote are read, as data.read of a recipe.'),
  duplicates: duplicates.optional().describe('Leaves out pictures that are another one, by their pixels.'),
});

/** With every default. */
export type FilterSettings = z.infer<typeof filterSettingsSchema>;

/** What a filter can do, in the order in which it is done: each step looks at what those before it have left. */
export const filterSteps = ['duplicates'] as const satisfies readonly (keyof FilterSettings)[];

/** RecipeInvalid, with everything that is wrong in one sentence. */
export function parseFilter(json: unknown): FilterSettings {
  const { success, data, error } = filterSettingsSchema.safeParse(json ?? {});
  const problems = success
    ? [...readProblems(data.read, 'read').map(({ message }) => message), ...meaningless(data)]
    : error.issues.map((issue) => issueText(issue, json));
  if (problems.length > 0)
    throw new RunnerError(
      'RecipeInvalid',
      `siglip2Filter can't begin: ${problems.slice(0, 10).join('; ')}; see src/filtering/README.md`,
    );
  return data!;
}

function issueText({ path, message, code }: z.core.$ZodIssue, json: unknown): string {
  const at = path.join('.') || 'the input';
  if (code === 'unrecognized_keys') {
    const allowed = path.length === 0 ? `; allowed: ${Object.keys(filterSettingsSchema.shape).join(', ')}` : '';
    return `${path.length === 0 ? '' : `${at}: `}${message}${allowed}`;
  }
  const said = path.reduce<unknown>((of, name) => (of as Record<PropertyKey, unknown> | undefined)?.[name], json);
  return `${at} ${said === undefined ? 'is missing' : `is ${JSON.stringify(said).slice(0, 80)}`}; allowed: ${message}`;
}

function meaningless(settings: FilterSettings): string[] {
  if (filterSteps.some((step) => settings[step] !== undefined)) return [];
  return [`it has no step, and would keep everything; allowed, one or more: ${filterSteps.join(', ')}`];
}
