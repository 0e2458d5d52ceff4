import type { Comparison, Curve, PhaseReport, ReportedEvaluation, RunReport } from '../../src/report/types.ts';
import { madeCurated, madeSheet } from './made-sheet.ts';

const start = Date.UTC(2026, 10, 27, 1, 0, 0);
const minute = 60_000;

const curve = (name: string, from: number, steps: number, value: (i: number) => number): Curve => ({
  name,
  points: Array.from({ length: steps }, (_, i) => [from + i + 1, value(i)] as const),
});

function phase(
  name: string,
  parent: string | null,
  from: number,
  begin: number,
  minutes: number,
  gap = false,
): PhaseReport {
  const at = start + begin * minute;
  const end = at + minutes * minute;
  return {
    name,
    parent,
    links: parent === null ? [] : [{ from: parent, kind: 'weights' }],
    steps: [from, from + 300],
    facts: [
      ['from', parent ?? 'nothing'],
      ['to step', String(from + 300)],
      ['batch', '128'],
      ['objectives', 'sigmoid, captioning'],
    ],
    ended: name !== 'naflex',
    spans: gap
      ? [
          [at, at + 3 * minute],
          [at + 7 * minute, end],
        ]
      : [[at, end]],
    checkpoints: [100, 200, 300].map((step, i) => ({ step: from + step, time: at + ((i + 1) * (end - at)) / 3 })),
    events: gap
      ? [
          {
            kind: 'gap',
            time: at + 7 * minute,
            text: 'no step was recorded for 4 min 0 s: paused, stopped, or without a device; went on at step 1234',
          },
        ]
      : [],
    curves: [
      curve('loss', from, 300, (i) => 8 / (1 + i / 20) + 0.2 * Math.sin(i * 1.7)),
      curve('learningRate', from, 300, (i) => 0.0015 * Math.cos((i / 300) * (Math.PI / 2))),
      curve('loss/sigmoid', from, 300, (i) => 5 / (1 + i / 25)),
      curve('loss/captioning', from, 300, (i) => 3 / (1 + i / 15)),
    ],
  };
}

const evaluation = (phase: string, step: number, top1: number, interval: boolean): ReportedEvaluation => ({
  phase,
  step,
  task: interval ? 'emoji' : null,
  evaluator: 'zeroShot',
  view: interval ? 'px-32' : null,
  examples: 1594,
  figures: [
    { name: 'classes', value: 1594, interval: null },
    { name: 'top1', value: top1, interval: interval ? { low: top1 - 0.014, high: top1 + 0.014 } : null },
    { name: 'by_language.de.top1', value: top1 / 2, interval: null },
  ],
  notes: interval ? ['3 pictures have no class'] : [],
});

const comparison = (phase: string, parent: string, difference: number): Comparison => ({
  phase,
  parent,
  what: 'emoji, zeroShot, px-32',
  rows: [
    {
      name: 'top1',
      before: 0.12,
      after: 0.12 + difference,
      interval: { low: difference - 0.01, high: difference + 0.01 },
    },
  ],
});

/** A run of four phases, one of them with a gap and one that is not ended. */
export const madeReport: RunReport = {
  run: 'made',
  facts: [
    ['begun', '2026-11-27T00:59:00.000Z'],
    ['trained on', 'data/emoji/train'],
    ['model', 'vision Ti, patch 16'],
    ['code version', '0.1.0'],
  ],
  recipe: '{\n  "version": 1\n}',
  events: [],
  phases: [
    phase('pretrain', null, 0, 0, 20, true),
    phase('distill', 'pretrain', 300, 21, 12),
    phase('resolution', 'distill', 600, 34, 9),
    phase('naflex', 'distill', 600, 34, 14),
  ],
  evaluations: [
    evaluation('pretrain', 300, 0.12, true),
    evaluation('distill', 600, 0.153, true),
    evaluation('pretrain', 300, 0.12, false),
  ],
  comparisons: [comparison('distill', 'pretrain', 0.033), comparison('resolution', 'distill', -0.004)],
  sheets: [
    { phase: 'pretrain', step: 300, task: 'emoji', sheet: await madeSheet('made/pretrain@300', 3) },
    { phase: 'distill', step: 600, task: 'emoji', sheet: await madeSheet('made/distill@600', 5) },
  ],
  curated: [await madeCurated('distill')],
  problems: [],
};
