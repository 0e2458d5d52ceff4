import { expect, it } from 'vitest';
import { nothingUsed } from '../../src/costs/used.ts';
import { replicasSchema } from '../../src/recipe/replicas.ts';
import { type PhaseInput, PhaseProgress } from '../../workflows/phase-progress.ts';
import { planOf, resultOf } from './harness.ts';

it('a phase that continues as new carries over all that it began with', () => {
  const plan = planOf('long', 200, 1);
  const last = resultOf({ plan, revision: 3, parent: null, from: null, toStep: 100 }, 100);
  const { checkpoint } = last;
  const model = { width: 8, depth: 1, mlp: 16, heads: 1 };
  const curation = {
    ...{ teacher: { phase: 'curated' }, stored: true, languages: ['en'], shards: 9, sealed: null },
    dtype: 'f32' as const,
    model: { vision: { ...model, patch: 4, resolution: 8 }, text: { ...model, length: 4, vocabulary: 9 } },
  };
  const best = { task: 'pets', evaluator: 'knn', figure: 'k5.top1' };
  const earlyStopping = { patience: 3, threshold: 0, restoreBest: true };
  const tasks = { documents: [], every: 50, best, earlyStopping };
  const input: Required<PhaseInput> = {
    plan: {
      ...plan,
      curation,
      tasks,
      replicas: replicasSchema.parse({ number: { least: 2, most: 8 }, steps: 10, lanes: 'paced' }),
    },
    parent: checkpoint,
    teacher: { ...checkpoint, phase: 'curated' },
    scored: 4,
    revision: 3,
    skip: [7, 9],
    from: checkpoint,
    last,
    limits: { step: 150 },
    pace: { checkpointEvery: 4, shardSteps: 8 },
    slots: 3,
    members: [{ slot: 0, key: 'slot-0000.json', sha256: 'f'.repeat(64) }],
    paces: [{ slot: 0, pace: 390 }],
    rounds: 5,
    merged: { number: 5, from: 60, to: 90, slots: 3, members: 2, late: [1], up: 9, down: 8, seconds: 1.5 },
    deviceMs: 5000,
    used: { ...nothingUsed, ms: { trained: 4000, preparing: 1000 }, cost: { trained: 8 } },
    began: 1000,
    wentBack: { damaged: 2, diverged: 1 },
    events: [{ at: '2026-01-01T00:00:00Z', step: 90, what: 'training' }],
    untold: 1,
    wishes: [{ kind: 'pause' }],
    held: 'waiting',
    failure: 'the disk is full',
    broken: { message: 'the disk is full', type: 'DiskFull' },
    watched: { figure: 'pets', step: 50, value: 0.5, best: { step: 50, value: 0.5 }, without: 1, patience: 3 },
    due: 100,
  };
  expect(new PhaseProgress(input).carried()).toEqual(input);
});

it('a phase reports some KB at most, whatever it met', () => {
  const plan = {
    ...planOf('long-name-of-a-run', 200_000, 1),
    replicas: replicasSchema.parse({ number: 1000, steps: 10 }),
  };
  const last = resultOf({ plan, revision: 3, parent: null, from: null, toStep: 100_000 }, 100_000);
  const sources = Array.from({ length: 1000 }, (_, i) => [`source/www.some-domain-${i}.example.org/candidates`, 0.001]);
  const objectives = { 'curation/chosen': 1.25, 'curation/rejected': -0.5, ...Object.fromEntries(sources) };
  const reasons = Array.from({ length: 50 }, (_, i) => ({
    reason: `${i} ${'z'.repeat(500)}`,
    members: 18,
    example: 'e'.repeat(500),
  }));
  const phase = new PhaseProgress({
    plan,
    last: { ...last, metrics: { ...last.metrics, objectives }, skipped: { members: 900, of: 1000, reasons } },
    failure: 'x'.repeat(5000),
  });
  const late = Array.from({ length: 900 }, (_, slot) => slot);
  phase.merged = { number: 5, from: 60, to: 90, slots: 1000, members: 100, late, up: 9e9, down: 8e9, seconds: 1000 };
  for (let line = 0; line < 20; line++) phase.note(`${line} ${'y'.repeat(1000)}`);
  const report = phase.report();
  expect(JSON.stringify(report).length).toBeLessThan(3400);
  expect(report.last!.metrics).toEqual({
    ...last.metrics,
    objectives: { 'curation/chosen': 1.25, 'curation/rejected': -0.5 },
  });
  expect(report.last!.skipped).toMatchObject({ members: 900, of: 1000 });
  expect(report.last!.skipped!.reasons.map(({ reason, members }) => [reason.slice(0, 5), members])).toEqual([
    ['0 zzz', 18],
    ['1 zzz', 18],
    ['other', 48 * 18],
  ]);
  expect(report.notes!.map(({ what }) => what.slice(0, 4))).toEqual(['15 y', '16 y', '17 y', '18 y', '19 y']);
});
