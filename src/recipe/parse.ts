import type { z } from 'zod';
import { allowedWords, schemaAt } from './allowed.ts';
import { contradictions } from './checks.ts';
import type { EpochFacts } from './durations.ts';
import { nearestName } from './nearest.ts';
import { phaseName } from './phase-name.ts';
import { addProblems, type Problem, problemsError } from './problem.ts';
import { type Recipe, recipeSchema } from './schema.ts';
import { findSecrets } from './secrets.ts';

/** A recipe as far as it can be read, and everything that is wrong with it by itself. */
export interface ReadRecipe {
  /** With something allowed in the place of each mistake; null where too much is wrong. */
  readonly recipe: Recipe | null;
  readonly problems: readonly Problem[];
}

/** Reads what a person wrote, and looks for every mistake that shows without data and checkpoints. */
export function readRecipe(json: unknown): ReadRecipe {
  const form = formProblem(json);
  if (form !== null) return { recipe: null, problems: [{ fields: [], message: form }] };
  const parsed = recipeSchema.safeParse(json);
  const problems: Problem[] = [];
  // What looks like a secret is reported as that alone, and its value is not repeated.
  addProblems(problems, findSecrets(json));
  addProblems(problems, parsed.success ? [] : parsed.error.issues.flatMap((issue) => describe(issue, json)));
  const recipe = parsed.success ? parsed.data : repaired(json);
  if (recipe) addProblems(problems, contradictions(recipe));
  return { recipe, problems: byName(problems, json) };
}

/**
 * A recipe as a person wrote it, checked, with every default filled in.
 * @throws RunnerError RecipeInvalid that lists every problem: field, value, what is allowed.
 */
export function parseRecipe(json: unknown): Recipe {
  const { problems } = readRecipe(json);
  if (problems.length > 0) throw problemsError(problems);
  return recipeSchema.parse(json);
}

/** What needs the sizes of the data sets: lengths in epochs; and models, where checkpoints have said theirs. */
export function problemsWith(recipe: Recipe, epochs: EpochFacts): Problem[] {
  return byName(contradictions(recipe, epochs), recipe);
}

/** Why a document is no recipe at all, in one sentence; null when it may be one. */
function formProblem(json: unknown): string | null {
  const own = 'a recipe is one JSON object, such as infra/recipes/emoji.json';
  const bytes = 'came as bytes: leave --input-meta out, so that it is read as JSON';
  if (ArrayBuffer.isView(json)) return `recipe ${bytes}; ${own}`;
  if (typeof json !== 'object' || json === null || Array.isArray(json))
    return `recipe is ${shown(json)}; allowed: an object: ${own}`;
  const keys = Object.keys(json);
  if (keys.length > 1 && keys.every((key, i) => key === String(i))) return `recipe ${bytes}; ${own}`;
  return null;
}

/** Says phases by their names, where those tell them apart. */
export function byName(problems: readonly Problem[], json: unknown): Problem[] {
  const names = (valueAt(json, ['phases']) as unknown[] | undefined) ?? [];
  const nameOf = (i: number) => {
    const name = valueAt(names, [i, 'name']);
    const once = names.filter((_, j) => valueAt(names, [j, 'name']) === name).length === 1;
    return once && phaseName.safeParse(name).success ? String(name) : null;
  };
  return problems.map((problem) => ({
    ...problem,
    message: problem.message.replaceAll(/(?<![\w.])phases\.(\d+)(?![\w])/g, (said, i) => {
      // Of the name itself it would say nothing.
      const name = problem.fields.includes(`phases.${i}.name`) ? null : nameOf(Number(i));
      return name === null ? said : `phases.${name}`;
    }),
  }));
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

/** What a document itself has at a path: nothing that every object has, such as a constructor. */
function valueAt(json: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (here, part) =>
      typeof here === 'object' && here !== null && Object.hasOwn(here, part)
        ? (here as Record<PropertyKey, unknown>)[part]
        : undefined,
    json,
  );
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length <= 80 ? text : `${text.slice(0, 77)}...`;
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
