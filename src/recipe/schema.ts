import { z } from 'zod';
import { checkpointOfRunSchema, curationSchema } from './curation.ts';
import { mixtureSchema } from './mixture.ts';
import { objectivesSchema } from './objectives.ts';
import { phaseName as name } from './phase-name.ts';
import { captionsSchema, filterSchema, placeSchema, trainSchema } from './places-schema.ts';
import { readSchema } from './reading.ts';

/**
 * A run as one JSON document. This file is the only description of it: the types, the checks and the
 * JSON Schema for editors (`infra/recipes/recipe.schema.json`) all come from here.
 */

const positive = z.number().positive();
const fraction = z.number().min(0).max(1);

/** A length of training, with its unit. Percent is of the schedule's total. */
export const durationSchema = z.union(
  [
    z.strictObject({ steps: z.int().min(0) }),
    z.strictObject({ examples: z.int().min(0) }),
    z.strictObject({ epochs: z.number().min(0) }),
    z.strictObject({ percent: z.number().min(0).max(100) }),
  ],
  'a length with one unit, {"steps": 900}, {"examples": 230400}, {"epochs": 30} or {"percent": 5}',
);
export type Duration = z.infer<typeof durationSchema>;

// The upper bounds are far above any model of the paper: they keep a slip of the pen from filling the memory.
const towerSize = z.strictObject({
  width: z.int().positive().max(8192).describe('Width of the tower.'),
  depth: z.int().positive().max(256).describe('Number of layers.'),
  mlp: z.int().positive().max(65_536).describe('Width of the hidden layer of each MLP.'),
  heads: z.int().positive().max(256).describe('Heads of attention; a divisor of the width.'),
});
const sizeName = z.enum(['mu', 'Ti', 'S', 'M', 'B', 'L', 'So400m', 'g-opt']);
const size = z.union(
  [sizeName, towerSize],
  `one of ${sizeName.options.join(', ')}, or the four numbers {"width", "depth", "mlp", "heads"}`,
);

const patch = z.int().positive().max(256);
const resolution = z.int().positive().max(4096);

const modelSchema = z.strictObject({
  vision: z.strictObject({
    size: size.describe('A name of the SigLIP 2 size table, or the four numbers.'),
    patch: patch.describe('Side of a patch in pixels.'),
    resolution: resolution.describe('Side of the square input in pixels.'),
  }),
  text: z.strictObject({
    size: size.optional().describe('By default the one that goes with the vision tower.'),
    length: z.int().min(2).max(64).default(64).describe('Tokens of a text; 64 in the paper.'),
    vocabulary: z
      .enum(['full', 'compact'])
      .default('full')
      .describe(
        'compact trains only the rows of the 256,000 tokens that the data uses; checkpoints always hold all rows.',
      ),
  }),
  init: z
    .strictObject({
      temperature: positive.default(10).describe('exp(logit_scale) at the start (arXiv 2303.15343, 3.2).'),
      logitBias: z.number().default(-10).describe('-10 suits a batch of 32k; near -ln(batch) suits a small one.'),
    })
    .prefault({})
    .describe('Where training from scratch starts.'),
});

const augmentSchema = z.strictObject({
  scale: z
    .tuple([positive, positive])
    .default([1, 1])
    .describe('Side of the crop in sides of the image, drawn evenly.'),
  shift: fraction.default(0).describe('Largest shift of the crop in sides of the image.'),
});

const shuffleSchema = z.strictObject({
  examples: z
    .int()
    .min(1)
    .max(10_000_000)
    .default(50_000)
    .describe('Examples that are shuffled together, or as many as 3 GiB of the disk cache hold.'),
});
const resize = z.enum(['antialias', 'big_vision']);

const dataSchema = z.strictObject({
  // Empty where a mixture says it.
  train: trainSchema
    .default([])
    .describe('Where the WebDataset tar shards lie in the bucket: one place or several. A mixture says it itself.'),
  mixture: mixtureSchema.optional(),
  mixtureAlpha: fraction
    .optional()
    .describe(
      'Of a mixture without weights: how often a source is drawn goes with its examples to this power. 1, as when it is left out, is in proportion to its size, 0 alike; 0.3 is usual for languages (temperature sampling).',
    ),
  shuffle: shuffleSchema
    .optional()
    .describe(
      'Examples are shuffled over parts of all shards, as with a mixture. Left out: over two shards or 512 MB of them, as in recipes of before.',
    ),
  evaluation: placeSchema.optional().describe('Shards that are never trained on.'),
  // These are optional without a default, so that recipes of before are what they were.
  read: readSchema
    .optional()
    .describe(
      'How shards that others wrote are read: siglip2 data look PREFIX says it. Left out: the JSON of this project.',
    ),
  evaluationRead: readSchema.optional().describe('How data.evaluation is read; as data.read where it is left out.'),
  regions: placeSchema
    .optional()
    .describe(
      'Where siglip2Annotate wrote the regions that a detector found in the shards of train; with captioning they are learned beside those of the examples.',
    ),
  filter: filterSchema
    .optional()
    .describe(
      'Name of a filter (siglip2Filter) of the shards of train: what it leaves out is passed over. Of a mixture: of every source without its own. Examples are shuffled as with shuffle then.',
    ),
  maxBroken: fraction
    .optional()
    .describe(
      'A run does not start on shards of which a larger share of the examples is broken; 0.05 where it is left out.',
    ),
  captions: captionsSchema
    .default([{ language: 'en', weight: 1 }])
    .describe('Languages to train on; each example has one of those that it has a caption in.'),
  resize: resize
    .optional()
    .describe(
      'How pictures become squares, in training, scoring and evaluation: antialias, as the processors of transformers do, so that what is served is what was trained; big_vision, without antialiasing, as the published models were trained, and as where it is left out. NaFlex always antialiases.',
    ),
  labelShare: fraction
    .default(0.5)
    .describe('Share of examples described by the first caption alone, the rest by label and tags.'),
  augment: augmentSchema.prefault({}).describe('The paper trains on unaugmented images; small data sets need some.'),
});

/** What a phase may say of its data otherwise than the recipe; what it does not say is as there. */
const phaseDataSchema = z.strictObject({
  train: trainSchema.optional().describe('As in data.'),
  mixture: dataSchema.shape.mixture,
  mixtureAlpha: dataSchema.shape.mixtureAlpha,
  shuffle: dataSchema.shape.shuffle,
  read: readSchema.optional().describe('As in data.'),
  regions: placeSchema
    .optional()
    .describe('As in data. A phase with a train of its own has these alone: regions belong to shards.'),
  filter: filterSchema
    .optional()
    .describe('As in data. A phase with a train or a mixture of its own has this alone: a filter belongs to shards.'),
  captions: captionsSchema.optional().describe('Languages of this phase.'),
  resize: resize.optional().describe('As in data.'),
  labelShare: fraction.optional().describe('As in data.'),
  augment: augmentSchema.optional().describe('As in data.'),
});

const optimizerSchema = z.strictObject({
  learningRate: positive.default(1e-3).describe('At the top of the schedule.'),
  weightDecay: z
    .number()
    .min(0)
    .default(1e-4)
    .describe('Decoupled, on kernels only, scaled by the schedule and not by the learning rate.'),
  beta1: fraction.default(0.9).describe('Of Adam.'),
  beta2: fraction.default(0.95).describe('Of Adam.'),
  epsilon: positive.default(1e-8).describe('Of Adam.'),
  clipNorm: positive.default(1).describe('A gradient whose norm is larger is scaled down to it.'),
  multipliers: z
    .record(z.string(), positive)
    .default({})
    .describe('Learning rate multipliers by parameter name, such as {"logit_bias": 10}.'),
});

const scheduleSchema = z.strictObject({
  total: durationSchema.describe('The whole schedule; steps count batches of the first phase.'),
  warmup: durationSchema.default({ steps: 0 }).describe('The learning rate rises from 0 for this long.'),
});

const phaseScheduleSchema = z.strictObject({
  total: durationSchema.describe('Steps count batches of this phase.'),
  warmup: durationSchema.default({ steps: 0 }).describe('The learning rate rises from 0 for this long.'),
  shape: z.enum(['cosine', 'constant']).default('cosine').describe('How the learning rate goes after the warmup.'),
});

const phaseSchema = z.strictObject({
  name: name.describe('Name of the phase, of its folder in the bucket and of its workflow.'),
  from: z
    .union(
      [name, checkpointOfRunSchema],
      'an earlier phase by its name, or a checkpoint of another run, {"run": "first", "phase": "pretrain", "step": 900}',
    )
    .optional()
    .describe(
      'What the phase goes on from: an earlier phase, branched off where the window begins; absent: from scratch.',
    ),
  window: z
    .strictObject({
      from: durationSchema.optional().describe('By default the end of the phase that it goes on from, or 0.'),
      to: durationSchema.default({ percent: 100 }).describe('End of the phase.'),
    })
    .prefault({})
    .describe(
      'The part of the schedule that the phase covers; percents and steps count from the start of the schedule.',
    ),
  schedule: phaseScheduleSchema
    .optional()
    .describe(
      'A schedule of its own, from its start to its end; phases that go on from it follow it. Absent: that of the phase that it goes on from, or of the recipe.',
    ),
  model: modelSchema
    .optional()
    .describe(
      'Another model than the one of the recipe, such as a larger teacher, where a phase starts from scratch or from another run; phases that go on from it have it too.',
    ),
  data: phaseDataSchema
    .optional()
    .describe('Other data than the rest of the recipe, such as a curated set to fine-tune a teacher on.'),
  optimizer: z
    .strictObject({
      learningRate: positive.optional().describe('As in optimizer.'),
      weightDecay: z.number().min(0).optional().describe('As in optimizer.'),
      clipNorm: positive.optional().describe('As in optimizer.'),
    })
    .optional()
    .describe('What this phase alone has otherwise than the recipe.'),
  curation: curationSchema
    .optional()
    .describe('Active curation (ACID; arXiv 2502.14786, 2.5): of a super-batch only what a teacher finds learnable.'),
  vision: z
    .strictObject({
      patch: patch.optional().describe('Side of a patch in pixels.'),
      resolution: resolution.optional().describe('NaFlex: of the square whose patches have the stored positions.'),
      naflex: z
        .strictObject({
          lengths: z
            .array(z.int().positive().max(65_536))
            .min(1)
            .default([128, 256, 576, 784, 1024])
            .describe('Patches of an image; each batch draws one of them.'),
          halveFrom: z
            .int()
            .positive()
            .default(1024)
            .describe('A batch of at least this length is trained on in two steps of half of it.'),
        })
        .optional()
        .describe('Images keep their shape (arXiv 2502.14786, 2.4.2).'),
    })
    .prefault({})
    .describe('Another input than before: positions and patch embedding are resampled at the start of the phase.'),
  stretch: positive
    .default(1)
    .describe('Examples for each example of the window: the schedule runs slower. 3.75 for NaFlex in the paper.'),
  objectives: objectivesSchema.default({ sigmoid: 1 }).describe('What is trained for, by weight; absent is off.'),
  teacher: z
    .strictObject({ momentum: fraction.default(0.966).describe('Fixed EMA momentum (SILC).') })
    .prefault({})
    .describe('The EMA copy that self-distillation and masked prediction learn from.'),
  accumulate: z
    .int()
    .positive()
    .default(1)
    .describe('Micro-batches of a step, for a small device: the gradient is exactly that of the whole batch.'),
  remat: z
    .enum(['none', 'blocks'])
    .default('none')
    .describe('blocks: compute activations again in the backward pass instead of keeping them.'),
  batch: z.int().min(2).max(1_048_576).describe('Examples of a step.'),
});

const paced = z
  .union(
    [z.literal('auto'), z.strictObject({ steps: z.int().positive().describe('Number of steps.') })],
    '"auto", or a number of steps, {"steps": 100}',
  )
  .default('auto');

const checkpointSchema = z.strictObject({
  every: paced.describe(
    'Steps between checkpoints. auto: so many that they take 2 % of the time, measured once at the start of a phase.',
  ),
  shard: paced.describe('Steps of one activity. auto: minutes, and where every is given at least 300.'),
  keep: z
    .int()
    .min(1)
    .max(1000)
    .default(2)
    .describe('Newest checkpoints of a phase that stay, beside branch points and what is pinned.'),
});

const divergenceSchema = z.strictObject({
  maxLoss: positive
    .optional()
    .describe('A loss above it counts as diverged, as a loss or gradient that is no number always does.'),
  // Without a default, so that recipes of before are what they were.
  minInformation: z
    .number()
    .min(0)
    .optional()
    .describe(
      'Nats. A phase of self-distillation waits when its teacher says less of pictures: it has collapsed. Looked at every 100 steps, first after 10 / (1 - teacher.momentum). 0.01 when left out; 0: never.',
    ),
  leaveOut: z
    .int()
    .min(0)
    .max(100)
    .default(3)
    .describe(
      'So many times a phase goes back to its last checkpoint and leaves out the batch at fault; then it waits.',
    ),
});

const evaluateSchema = z.strictObject({
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

export const recipeSchema = z.strictObject({
  $schema: z.string().optional().describe('For editors: where the JSON Schema lies.'),
  version: z.literal(1).describe('Of this form of recipe.'),
  seed: z
    .int()
    .min(0)
    .max(2 ** 32 - 1)
    .default(0)
    .describe('Of initial weights, order of data and everything else that is drawn.'),
  precision: z
    .enum(['f32', 'bf16', 'auto'])
    // Recipes of before are what they were, so it can't be auto.
    .default('f32')
    .describe(
      'Numbers that matrices are multiplied in. bf16 is quicker on CPUs and GPUs that have it. auto: whichever is quicker, measured once before the first step of a phase.',
    ),
  // Without a default, so that recipes of before are what they were.
  xla: z
    .enum(['off', 'on', 'auto'])
    .optional()
    .describe(
      'Whether XLA compiles a whole step. auto, which it is when left out: on a GPU whichever is faster, measured once before the first step of a phase; off on a CPU.',
    ),
  model: modelSchema
    .optional()
    .describe(
      'The two towers. Left out: phases that go on from a checkpoint of another run have its model. What is said must be the same, but for the vision that a phase changes.',
    ),
  data: dataSchema.describe('What is trained on, and what is evaluated on.'),
  optimizer: optimizerSchema.prefault({}).describe('Adam with decoupled weight decay.'),
  schedule: scheduleSchema.describe('How long to train, and how the learning rate goes: up, then down along a cosine.'),
  phases: z.array(phaseSchema).min(1).max(100).describe('What is trained, one after another or as a graph.'),
  divergence: divergenceSchema.prefault({}).describe('What counts as diverged, and what is done then.'),
  checkpoint: checkpointSchema.prefault({}).describe('How often a phase is saved, and what stays.'),
  evaluate: evaluateSchema
    .prefault({})
    .describe('Zero-shot classification and retrieval on data.evaluation at the end of each phase.'),
});

/** A checked recipe with every default filled in. */
export type Recipe = z.infer<typeof recipeSchema>;
export type Phase = Recipe['phases'][number];
export type RecipeModel = z.infer<typeof modelSchema>;
export type DataSettings = Recipe['data'];
/** How a picture becomes a square. */
export type Resize = z.infer<typeof resize>;
export type OptimizerSettings = Recipe['optimizer'];
