import type { CompileOptions, ProgramDefinition } from '../../src/compile/definition.ts';
import { sumsDefinition } from '../../src/curation/conditional-sums.ts';
import { learnDefinition } from '../../src/evaluate/decoder/learn-definition.ts';
import { greedyDefinition } from '../../src/model/decode-greedy.ts';
import { embedderDefinition } from '../../src/model/embed.ts';
import type { PhaseSettings } from '../../src/recipe/phase-settings.ts';
import { stepDefinition } from '../../src/train/step.ts';
import { quickLesson } from '../evaluate/decoder/placed-things.ts';
import { naflexSettings } from '../train/naflex-batch.ts';
import { tinySettings } from '../train/settings.ts';
import { tinyObjectives } from '../train/tiny-objectives.ts';

/** Phases that between them have every kind of step. */
export const phases: Readonly<Record<string, PhaseSettings>> = {
  sigmoid: tinySettings,
  'every objective': { ...tinySettings, objectives: tinyObjectives },
  'images of any shape': naflexSettings,
  curation: {
    ...tinySettings,
    curation: { scores: 'learnability', joint: true, chunks: 2, scoring: 'stored', dtype: 'f32' },
    batches: { ...tinySettings.batches, candidates: 12 },
  },
};

/** Every graph that a trainer compiles, in tiny. */
export function allPrograms(): [name: string, definition: ProgramDefinition, options: CompileOptions][] {
  const steps = Object.entries(phases).flatMap(([name, phase]) =>
    (['f32', 'bf16'] as const).flatMap((precision) =>
      ([{}, { accumulate: 3, remat: 'blocks' }] as const).map((how): [string, ProgramDefinition, CompileOptions] => [
        `${name}, ${precision}${'remat' in how ? ', accumulated and rematerialised' : ''}`,
        stepDefinition({ ...phase, ...how, precision }),
        { precision },
      ]),
    ),
  );
  const embedders = ['sigmoid', 'images of any shape'].map((name): [string, ProgramDefinition, CompileOptions] => [
    `embedding, ${name}`,
    embedderDefinition(phases[name]!.model, 6),
    {},
  ]);
  const widths = { learner: 8, teacher: 12 };
  const sums = sumsDefinition({ candidates: 12, scores: 'learnability', widths, chunk: 3 });
  const { model } = tinySettings;
  const lesson = { ...quickLesson, batch: 3 };
  const decoders: [string, ProgramDefinition, CompileOptions][] = [
    ['greedy decoding', greedyDefinition(model, { depth: 2 }, { batch: 3, patches: 4 }), {}],
    ['a fresh decoder learning', learnDefinition(model, lesson, 4), {}],
  ];
  return [...steps, ...embedders, ...decoders, ['selection', sums, {}]];
}
