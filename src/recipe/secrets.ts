import { RunnerError } from '../runtime/errors.ts';
import { secretName, secretValue } from '../runtime/secrets.ts';
import type { Problem } from './problem.ts';

const deepest = 16;

/**
 * Fields that look like credentials. A recipe is kept in the bucket and in Temporal's history, where no secret
 * belongs. The values are not repeated.
 */
export function findSecrets(json: unknown, path: readonly string[] = []): Problem[] {
  const field = path.join('.');
  const found = typeof json === 'string' ? secretValue.test(json) : secretName.test(path.at(-1) ?? '');
  if (found || (typeof json === 'string' && secretName.test(path.at(-1) ?? ''))) {
    const message = `${field} looks like a credential; a recipe is stored in readable form, so credentials are given to the worker's environment instead`;
    return [{ fields: [field], message }];
  }
  if (typeof json !== 'object' || json === null) return [];
  // Deeper than any recipe; what recurses over JSON would end in a full stack.
  if (path.length > deepest)
    throw new RunnerError(
      'RecipeInvalid',
      `The recipe is nested more than ${deepest} levels deep at ${field.slice(0, 80)}.`,
    );
  return Object.entries(json).flatMap(([key, value]) => findSecrets(value, [...path, key.slice(0, 60)]));
}
