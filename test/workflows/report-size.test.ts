import { expect, it } from 'vitest';
import { brief } from '../../workflows/report-size.ts';
import { planOf, resultOf } from './harness.ts';

it('a report keeps the two most frequent reasons for what was not used, and counts all', () => {
  const plan = planOf('first', 80, 10);
  const last = resultOf({ plan, revision: 0, parent: null, from: null, toStep: 40 }, 40);
  const reasons = [9, 5, 2, 1].map((members) => ({ reason: `reason ${members}`, members, example: 'd/1.tar a' }));
  const report = { phase: 'pretrain', state: 'training' as const, from: 0, total: 80, revision: 0 };
  const of = (count: number) =>
    brief({ ...report, last: { ...last, skipped: { members: 17, of: 90, reasons: reasons.slice(0, count) } } }).last;
  expect(of(4)!.skipped).toEqual({
    members: 17,
    of: 90,
    reasons: [...reasons.slice(0, 2), { reason: 'other reasons', members: 3, example: '' }],
  });
  expect(of(2)!.skipped!.reasons).toEqual(reasons.slice(0, 2));
  expect(brief({ ...report, last }).last).not.toHaveProperty('skipped');
  const computed = { precision: 'bf16', xla: 'off' } as const;
  expect(brief({ ...report, last: { ...last, ...computed } }).last).toMatchObject(computed);
});
