import { expect, it } from 'vitest';
import { formatTaskResult } from '../../src/commands/format-task-result.ts';
import { publishedLines } from '../../src/commands/published-lines.ts';
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

it('prints what is published of as many patches as a square has, and of NaFlex models beside no square', () => {
  const lines = (column: string, view: string) => publishedLines({ published: { f: column } }, 'f', view);
  const [boxes, ...more] = lines('refcoco-val acc@0.5', 'px-256');
  expect(boxes).toMatch(/^published: SigLIP 2 B 83\.76, SigLIP B 64\.05, SigLIP 2 L 86\.04.*\(Table 5\)$/);
  expect(more).toEqual([]);
  expect(lines('refcoco-val acc@0.5', 'px-224')[0]).toMatch(/^published: SigLIP 2 B 83\.76/);
  expect(lines('refcoco-val acc@0.5', 'px-128')).toEqual([
    'published at patches-256, patches-576, patches-729 (Table 5)',
  ]);
  const [squares, ofBoth] = lines('imagenet-val acc1', 'px-256');
  expect(squares).toMatch(/^published: .*SigLIP 2 B\/16 79\.1/);
  // That table has rows of NaFlex models at 256 patches too.
  expect(ofBoth).toBe('published: SigLIP 2 B/16 79.1 (Table 7)');
  expect(lines('imagenet-val acc1', 'patches-256').at(-1)).toMatch(/^published: SigLIP 2 NaFlex B\/16 78\.5/);
});
