import { expect, it } from 'vitest';
import type { RunPlan } from '../../activities/types/plan.ts';
import type { SkippedOf } from '../../activities/types/shard.ts';
import type { PhaseResult } from '../../workflows/results.ts';
import { usedOf } from '../../workflows/used-of.ts';

const plan = (data: Record<string, string>, corrupt: number, evaluated = 0) =>
  ({
    examples: 100,
    corrupt,
    phases: Object.entries(data).map(([phase, dataFingerprint]) => ({ phase, dataFingerprint })),
    evaluation: evaluated === 0 ? null : { corrupt: evaluated },
  }) as unknown as RunPlan;
const skipped = (...counts: Record<string, number>[]): SkippedOf => {
  const reasons = counts.flatMap((of) =>
    Object.entries(of).map(([reason, members]) => ({ reason, members, example: 'd/1.tar a' })),
  );
  return { members: reasons.reduce((sum, { members }) => sum + members, 0), reasons };
};
const result = (phase: string, of?: SkippedOf) => ({ phase, ...(of && { skipped: of }) }) as unknown as PhaseResult;

it('members of data that several phases train on count once, those of other data and of the evaluation beside them', () => {
  const planned = plan({ a: 'x', b: 'x', c: 'y' }, 3, 2);
  const phases = [
    result('a', skipped({ nan: 5 })),
    result('b', skipped({ nan: 6, cut: 1 })),
    result('c', skipped({ cut: 4 })),
  ];
  expect(usedOf(planned, phases)).toEqual({
    examples: 100,
    corrupt: 7 + 4 + 2,
    reasons: skipped({ nan: 6 }, { cut: 4 }, { cut: 1 }).reasons,
  });
});

it('what no phase came across is as the shards say, and results of older versions say no reasons', () => {
  expect(usedOf(plan({ a: 'x' }, 3), [result('a')])).toEqual({ examples: 100, corrupt: 3 });
  expect(usedOf(plan({ a: 'x' }, 0), [])).toEqual({ examples: 100, corrupt: 0 });
  expect(usedOf(plan({ a: 'x' }, 9), [result('a', skipped({ nan: 2 }))])).toMatchObject({ corrupt: 9 });
});
