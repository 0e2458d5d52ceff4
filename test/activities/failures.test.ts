import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, it } from 'vitest';
import { toFailure } from '../../activities/failures.ts';
import { RunnerError } from '../../src/runtime/errors.ts';

const missing = new RunnerError('DeviceMissing', 'no GPU was found');
const isRetried = (failure: Error) => failure instanceof ApplicationFailure && failure.nonRetryable !== true;

describe('a device that is missing', () => {
  it('ends what needs it, where the worker has no other', () => {
    const failure = toFailure(missing, 1);
    expect(failure).toMatchObject({ message: 'no GPU was found', type: 'DeviceMissing', nonRetryable: true });
  });

  it('is tried again where the next attempt may have another one, and not for ever', () => {
    expect([1, 2, 3, 4, 5].map((attempt) => isRetried(toFailure(missing, attempt, true)))).toEqual([
      ...[true, true, true, true],
      false,
    ]);
    const invalid = new RunnerError('RecipeInvalid', 'no such phase');
    expect(isRetried(toFailure(invalid, 1, true))).toBe(false);
  });
});
