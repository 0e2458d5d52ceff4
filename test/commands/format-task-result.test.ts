import { expect, it } from 'vitest';
import { formatTaskResult } from '../../src/commands/format-task-result.ts';
import type { EvaluationDocument } from '../../src/evaluate/result.ts';

it('shows figures at several sizes as a curve over them, and at one size as they are', () => {
  const at = (view: string, top1: number) => ({
    ...{ evaluator: 'knn' as const, view, examples: 4, figures: { k5: { classes: 2, top1 } } },
    ...{ intervals: {}, notes: [], fingerprint: {}, outcomes: { key: 'o', bytes: 1, sha256: 's' } },
  });
  const document = (views: readonly ReturnType<typeof at>[]) =>
    ({
      version: 1,
      task: { name: 'pets' },
      model: { name: 'm', sha256: 's' },
      figures: views,
    }) as unknown as EvaluationDocument;
  const text = formatTaskResult(document([at('patches-64', 0.25), at('patches-1024', 0.5)]));
  expect(text).toContain('\n\nknn over sizes\n    patches-64 patches-1024\n');
  expect(text).toContain('        25.0 %       50.0 %  k5.top1\n');
  expect(formatTaskResult(document([at('px-224', 0.25)]))).not.toContain('over sizes');
});

it('shows errors in their own unit, beside what is published of them, and over sizes; counts as counts', () => {
  const at = (view: string, rmse: number) => ({
    ...{ evaluator: 'depth' as const, view, examples: 4 },
    figures: { rmse, a1: 0.5, points: 349_000 },
    ...{ intervals: { rmse: { low: 0.25, high: 0.75 } }, notes: [], fingerprint: {} },
    outcomes: { key: 'o', bytes: 1, sha256: 's' },
  });
  const text = formatTaskResult({
    version: 1,
    task: { name: 'rooms', published: { 'depth.rmse': 'nyuv2 rmse' } },
    model: { name: 'm', sha256: 's' },
    figures: [at('px-224', 0.4931), at('px-256', 0.5)],
  } as unknown as EvaluationDocument);
  expect(text).toContain('    0.4931  rmse  0.25 to 0.75\n            published');
  expect(text).toContain('    50.0 %  a1\n    349000  points\n');
  expect(text).toContain('    0.4931      0.5  rmse\n');
  expect(text).not.toContain('349000   349000');
});
