import type { z } from 'zod';
import { RunnerError } from '../runtime/errors.ts';
import { allowedWords, schemaAt } from './allowed.ts';
import { contradictions } from './checks.ts';
import type { EpochFacts } from './durations.ts';
import { nearestName } from './nearest.ts';
import type { Problem } from './problem.ts';
import { type Recipe, recipeSchema } from './schema.ts';
import { findSecrets } from './secrets.ts';

/**
 * A recipe as a person wrote it, checked, with every default filled in.
 * @throws RunnerError RecipeInvalid that lists every problem: field, value, what is allowed.
 */
export function parseRecipe(json: unknown): Recipe {
  const secrets = findSecrets(json);
  const parsed = recipeSchema.safeParse(json);
  const found = parsed.success ? [] : parsed.error.issues.flatMap((issue) => describe(issue, json));
  // What looks like a secret is reported as that alone, and its value is not repeated.
  const problems = [...secrets, ...found.filter(({ fields }) => !secrets.some((s) => touches(s.fields, fields)))];
  const readable = parsed.success ? parsed.data : repaired(json);
  if (readable) {
    const more = contradictions(readable).filter(({ fields }) => !problems.some((p) => touches(p.fields, fields)));
    problems.push(...more);
  }
  if (problems.length > 0) throw invalid(problems);
  return recipeSchema.parse(json);
}

/** Checks what needs the sizes of the data sets: lengths in epochs. */
export function checkAgainstData(recipe: Recipe, epochs: EpochFacts): void {
  const problems = contradictions(recipe, epochs);
  if (problems.length > 0) throw invalid(problems);
}

function invalid(problems: readonly Problem[]): RunnerError {
  const messages = problems.map(({ message }) => message);
  const text =
    messages.length === 1
      ? `The recipe has a problem: ${messages[0]}.`
      : `The recipe has ${messages.length} problems:${messages.map((message) => `\n- ${message}`).join('')}`;
  return new RunnerError('RecipeInvalid', text, { details: { problems } });
}

type Issue = z.core.$ZodIssue;

function describe(issue: Issue, json: unknown): Problem[] {
  const schema = schemaAt(issue.path);
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(schema?.properties ?? {});
    return issue.keys.map((key) => {
      const near = nearestName(key, known);
      const hint = near === null ? `known here: ${known.join(', ')}` : `did you mean ${near}?`;
      const field = dotted([...issue.path, key]);
      return { fields: [field], message: `${field} is not a known field; ${hint}` };
    });
  }
  const field = dotted(issue.path) || 'recipe';
  const value = valueAt(json, issue.path);
  // Patterns and unions say in their own words what they allow.
  const own = issue.code === 'invalid_format' || issue.code === 'invalid_union' || !schema;
  const allowed = own ? issue.message : allowedWords(schema);
  const message =
    value === undefined
      ? `${field} is missing; needed: ${allowed}`
      : `${field} is ${shown(value)}; allowed: ${allowed}`;
  return [{ fields: [field], message }];
}

const dotted = (path: readonly PropertyKey[]) => path.map((part) => String(part).slice(0, 60)).join('.');

function valueAt(json: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((here, part) => (here as Record<PropertyKey, unknown> | undefined)?.[part], json);
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
}

/** Whether two sets of dotted paths have a field in common, or one within the other. */
function touches(a: readonly string[], b: readonly string[]): boolean {
  const within = (x: string, y: string) => x === y || x.startsWith(`${y}.`);
  return a.some((x) => b.some((y) => within(x, y) || within(y, x)));
}

const template = {
  version: 1,
  model: { vision: { size: 'mu', patch: 1, resolution: 1 }, text: { size: 'mu' } },
  data: { train: 'train' },
  schedule: { total: { steps: Number.MAX_SAFE_INTEGER / 2 ** 21 } },
  phases: [{ name: 'phase', batch: 2 }],
};

/** The recipe with something allowed in the place of each mistake, so that the other fields can be compared. */
function repaired(json: unknown): Recipe | null {
  const copy: unknown = structuredClone(json);
  // A field that can't be mended alone is left out with what it lies in, one level more in each round.
  for (let round = 0; round < 5; round++) {
    const parsed = recipeSchema.safeParse(copy);
    if (parsed.success) return parsed.data;
    for (const issue of parsed.error.issues) {
      const bad = issue.code === 'unrecognized_keys' ? issue.keys.map((key) => [...issue.path, key]) : [issue.path];
      for (const path of bad) mend(copy, round < 2 ? path : path.slice(0, 1 - round));
    }
  }
  return null;
}

function mend(copy: unknown, path: readonly PropertyKey[]): void {
  const owner = valueAt(copy, path.slice(0, -1)) as Record<PropertyKey, unknown> | undefined;
  const last = path.at(-1);
  if (last === undefined || typeof owner !== 'object' || owner === null) return;
  const good = valueAt(template, path);
  if (good === undefined) delete owner[last];
  else owner[last] = structuredClone(good);
}
