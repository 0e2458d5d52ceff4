import { z } from 'zod';
import { phaseName } from './phase-name.ts';

/** How phases are evaluated. */
export const evaluateSchema = z.strictObject({
  languages: z
    .array(z.string())
    .min(1)
    .default(['en'])
    .describe('Languages of the texts, each with figures of its own.'),
  maxExamples: z
    .int()
    .positive()
    .default(50_000)
    .describe('Examples of data.evaluation that are looked at, the first ones.'),
  // Without defaults, so that recipes of before are what they were.
  tasks: z
    .array(z.looseObject({ name: z.string().describe('What its results are found by.') }))
    .min(1)
    .max(20)
    .optional()
    .describe('Tasks, as src/evaluate/README.md has them, that every phase is evaluated by at its end.'),
  only: z
    .record(z.string(), z.array(phaseName).min(1).max(100))
    .optional()
    .describe(
      'Phases that alone are evaluated by a task, by its name, such as {"masks": ["trunk", "distill"]}; a task that is not named here is of every phase.',
    ),
  every: z
    .strictObject({ steps: z.int().positive().describe('Number of steps.') })
    .optional()
    .describe(
      'The tasks are done during training too, at the first end of a shard from each multiple of so many steps on, while training goes on.',
    ),
  best: z
    .strictObject({
      task: z.string().describe('Name of one of the tasks.'),
      evaluator: z.string().describe('One of its evaluators, such as retrieval.'),
      figure: z.string().describe('Path of one of its figures, such as mean.text_to_image.r1.'),
    })
    .optional()
    .describe(
      'Of the checkpoints of a phase that are evaluated the one with the highest figure is kept, and best.json names it.',
    ),
  guard: z
    .strictObject({
      task: z.string().describe('Name of one of the tasks: of what the model could before, such as a reference set.'),
      evaluator: z.string().describe('One of its evaluators, such as retrieval.'),
      figure: z.string().describe('Path of one of its figures, such as mean.text_to_image.r1.'),
      fall: z.number().min(0).describe('The figure may be so much lower than it was before the phase.'),
      // Without a default, so that recipes of before are what they were.
      action: z
        .enum(['wait', 'end'])
        .optional()
        .describe(
          'Where it has fallen further: wait, as it does when left out, for a person; end the phase with the checkpoint that was looked at, unless another phase begins later.',
        ),
    })
    .optional()
    .describe(
      'What a model knew is kept: the figure is taken of the checkpoint that a phase goes on from, at each evaluation of evaluate.every and at its end, which are waited for. Where it has fallen by more than is allowed the phase waits for a person, or ends.',
    ),
  earlyStopping: z
    .strictObject({
      patience: z.int().min(1).max(1000).describe('Evaluations without a rise after which the phase ends.'),
      threshold: z
        .number()
        .min(0)
        .default(0)
        .describe('It has risen when it is higher by more than this, and by more than its interval of 95 %.'),
      restoreBest: z
        .boolean()
        .default(false)
        .describe('The phase ends with the checkpoint of the highest figure, also where it comes to its last step.'),
    })
    .optional()
    .describe(
      'A phase ends when the figure of evaluate.best has not risen for some evaluations of evaluate.every; it waits for each of them. Where other phases begin in it, not before the last of these.',
    ),
});
