import type { z } from 'zod';
import { representationBias } from '../../metrics/groups.ts';
import { RunnerError } from '../../runtime/errors.ts';
import { dot } from '../numbers/matrix.ts';
import type { Evaluator } from './contract.ts';
import type { biasSettings } from './settings.ts';

type Settings = z.infer<typeof biasSettings>;

/** RecipeInvalid where a task has not two texts to compare; null: it names none. */
export function requireTwo(names: readonly string[] | null): void {
  if (names?.length === 2) return;
  throw new RunnerError(
    'RecipeInvalid',
    `the task can't be done: evaluators.bias compares two texts, and classes.names has ${names?.length ?? 'none'}; allowed: two, such as ["male", "female"]`,
  );
}

/**
 * Representation bias (SigLIP 2, 3.5): the share of pictures that are nearer to the first of two names of classes, "male", than to
 * the second, "female", less one half. Equal products are half a preference. The paper takes pictures of ImageNet.
 */
export const bias: Evaluator<Settings> = {
  needs: () => ({ classes: true }),
  protocol: () => ({ ties: 'half a preference', figure: 'share of the first name, less one half' }),
  async evaluate({ classes, test, view, pause }) {
    requireTwo(classes?.names ?? null);
    const { rows } = classes!;
    const images = await test.unit(view);
    const n = test.examples.length;
    const [first, second] = [new Float64Array(n), new Float64Array(n)];
    for (let i = 0; i < n; i++) {
      first[i] = dot(images, i, rows, 0);
      second[i] = dot(images, i, rows, 1);
      if (i % 8192 === 8191) await pause();
    }
    const { value, of } = representationBias(first, second);
    const values = Float32Array.from(first, (one, i) => (one > second[i]! ? 0.5 : one < second[i]! ? -0.5 : 0));
    return {
      figures: { examples: of, representation_bias: value! },
      notes: [],
      outcomes: { representation_bias: { values, pictures: Int32Array.from(values.keys()) } },
    };
  },
};
