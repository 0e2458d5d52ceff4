import { describe, expect, it } from 'vitest';
import { trainerVariables } from '../../src/trainer/environment.ts';

describe('the environment of a trainer', () => {
  it('has what libraries and our own code are steered by, and no key of Temporal', () => {
    const of = { PATH: '/bin', AWS_REGION: 'here', TEMPORAL_API_KEY: 'key', TF_CPP_MIN_LOG_LEVEL: '1', OTHER: 'x' };
    expect(trainerVariables(of)).toEqual({
      PATH: '/bin',
      AWS_REGION: 'here',
      TF_CPP_MIN_LOG_LEVEL: '1',
      MALLOC_ARENA_MAX: '1',
    });
  });

  it('has one arena of memory unless it is told how many', () => {
    expect(trainerVariables({ MALLOC_ARENA_MAX: '4' })).toEqual({ MALLOC_ARENA_MAX: '4' });
  });
});
