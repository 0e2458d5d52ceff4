import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { hashOf } from '../../activities/plan.ts';
import { parseRecipe } from '../../src/recipe/parse.ts';
import { phaseSettings } from '../../src/recipe/settings.ts';
import { hashJson } from '../../src/runtime/hash.ts';

interface Resolved {
  readonly written: { readonly phases: readonly { readonly name: string }[] };
  readonly recipe: string;
  readonly phases: readonly string[];
}

/** Recipes as the release 0.1 took them, with the hashes that it gave them and the settings of their phases. */
const before: Resolved[] = JSON.parse(readFileSync(new URL('fixtures/resolved.json', import.meta.url), 'utf8'));

describe('a recipe of an older release', () => {
  it.each(before.map((one) => [one.written.phases.map(({ name }) => name).join(', '), one] as const))(
    'of %s is known by the same hashes, so that its run goes on under its name',
    (_, { written, recipe, phases }) => {
      const parsed = parseRecipe(written);
      const phaseExamples = Object.fromEntries(parsed.phases.map(({ name }) => [name, 5000]));
      const origins = { tune: { step: 0, examples: 0 } };
      const facts = { examples: 10_000, phaseExamples, vocabulary: [0, 1, 3, 77], origins };
      expect(hashOf(parsed)).toBe(recipe);
      expect(parsed.phases.map((phase) => hashJson(phaseSettings(parsed, phase, facts)))).toEqual(phases);
    },
  );
});
