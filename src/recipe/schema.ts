import { z } from 'zod';
import { adapterTargets } from '../model/adapters.ts';
import { positionStretches } from '../model/stretch-positions.ts';
import { addedTokens } from './added-tokens.ts';
import { checkpointOfRunSchema, curationSchema } from './curation.ts';
import { dataSchema, phaseDataSchema, type resize } from './data-schema.ts';
import { evaluateSchema } from './evaluate-schema.ts';
import { limitsSchema } from './limits-schema.ts';
import { modelSchema, patch, resolution, textLength } from './model-schema.ts';
import { fraction, positive } from './number-schemas.ts';
import { objectivesSchema } from './objectives.ts';
import { phaseName as name } from './phase-name.ts';
import { replicasSchema } from './replicas.ts';

/**
 * A run as one JSON document. This file and those that it names are the only description of it: the types, the
 * checks and the JSON Schema for editors (`infra/recipes/recipe.schema.json`) all come from here.
 */

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

const multipliers = z.record(z.string(), z.number().min(0));
const startDecay = z.number().positive();
const layerDecay = z.number().positive().max(1);

const selectors = z.array(z.string().min(1).max(200)).min(1).max(200);

const loraSchema = z.strictObject({
  rank: z.int().positive().max(1024).default(8).describe('Numbers between the two matrices of an adapter.'),
  alpha: positive.optional().describe('B A is multiplied by alpha / rank; by default the rank.'),
  targets: z
    .array(z.enum(adapterTargets))
    .min(1)
    .default([...adapterTargets])
    .describe('Linear layers of a block that have one: of attention, and of the MLP.'),
  in: selectors.default(['vision', 'text']).describe('Towers and blocks, as in train: ["vision", "textBlocks.6-11"].'),
  useDora: z
    .boolean()
    .optional()
    .describe('The rows of an adapted weight have lengths that are trained by themselves (DoRA, arXiv 2402.09353).'),
});

// Names as in timm and optax; the warm-up is TensorFlow's.
const emaSchema = z.strictObject({
  decay: z
    .number()
    .min(0)
    .lt(1)
    .default(0.999)
    .describe('Share of the average that stays at each step: average = decay average + (1 - decay) weights.'),
  warmup: z
    .boolean()
    .default(true)
    .describe(
      'After t steps of the average its decay is at most (1 + t) / (10 + t), so that it leaves its start sooner.',
    ),
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
  multipliers: multipliers
    .default({})
    .describe(
      'Learning rate multipliers by parameter, tower, part or pattern, such as {"logit_bias": 10, "textBlocks.0-5": 0.1}. All that mean a parameter are multiplied; 0 freezes it.',
    ),
  // Without a default, so that recipes of before are what they were.
  startDecay: startDecay
    .optional()
    .describe(
      'Weights are pulled to what they were when this began, as weightDecay pulls kernels to zero, so that a model keeps what it knew (L2-SP, arXiv 1802.01483). Tables of tokens are not.',
    ),
  layerDecay: layerDecay
    .optional()
    .describe(
      'Each layer makes this share of the updates of the layer above it, as in BEiT and timm; the heads above the blocks make whole ones. Weight decay is scaled as well. 0.65 to 0.9 is usual.',
    ),
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
      multipliers: multipliers.optional().describe('As in optimizer, in the place of those.'),
      startDecay: startDecay.optional().describe('As in optimizer.'),
      layerDecay: layerDecay.optional().describe('As in optimizer.'),
    })
    .optional()
    .describe('What this phase alone has otherwise than the recipe.'),
  train: selectors
    .optional()
    .describe(
      'What is trained: towers (vision, text), parts (patchEmbedding, imagePositions, imageBlocks, mapHead, tokenTable, textPositions, textBlocks, textHead, scaleAndBias, decoder, heads), blocks ("imageBlocks.8-11"), parameters by name, or patterns of names ("*.mlp.*"). Absent: everything. What is not trained has no gradient and no moments.',
    ),
  lora: loraSchema
    .optional()
    .describe(
      'Adapters of low rank beside the weights of blocks, which are left as they are (arXiv 2106.09685). They alone are trained, and exported in the layout of peft.',
    ),
  freeze: selectors.optional().describe('What is not trained, said in the same way; it counts more than train.'),
  frozenFeatures: z
    .enum(['kept', 'online'])
    .optional()
    .describe(
      'kept: a trainer computes the embedding of a picture once and keeps it in memory, where nothing of the image tower is trained and pictures are not augmented. online, which it is when left out: at every step.',
    ),
  ema: emaSchema
    .optional()
    .describe(
      'An exponential moving average of what is trained, which is what is evaluated and exported. A phase that goes on from one that has it goes on with it. Absent: none.',
    ),
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
  // Without a default, so that recipes of before are what they were.
  text: z
    .strictObject({
      length: textLength
        .optional()
        .describe('Tokens of a text, to which each is cut and padded. Absent: as many as before.'),
      positions: z
        .enum(positionStretches)
        .default('beginning')
        .describe(
          'How positions become more. beginning: the first 20 and the last stay, those between are spread; longClip: as in Long-CLIP, beyond the last too; even: all are spread.',
        ),
      addedTokens: addedTokens
        .optional()
        .describe(
          'Words that become tokens of their own, after those of before; as add_tokens of transformers does it. Their rows begin as the mean of those of the pieces that they were.',
        ),
    })
    .optional()
    .describe(
      'Longer texts than before, whose positions are stretched at the start of the phase, or more tokens than before.',
    ),
  stretch: positive
    .default(1)
    .describe('Examples for each example of the window: the schedule runs slower. 3.75 for NaFlex in the paper.'),
  objectives: objectivesSchema.default({ sigmoid: 1 }).describe('What is trained for, by weight; absent is off.'),
  // Without defaults, so that recipes of before are what they were.
  negatives: z
    .enum(['all', 'distinct'])
    .optional()
    .describe(
      'distinct: examples of a batch that share their text, their class (concept) or their picture are no negatives of one another. all, which it is when left out: they are.',
    ),
  positives: z
    .enum(['own', 'shared', 'any'])
    .optional()
    .describe(
      'shared: such examples are positives of one another, as the own text of a picture is. any: and a text is a positive of every picture that has it among its first 16 texts, such as one of several captions or attributes.',
    ),
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
  replicas: replicasSchema
    .optional()
    .describe(
      'Training in rounds: replicas on several workers share the steps of the phase, and are merged after each round. A checkpoint is made at the end of a round. Absent: one worker after another.',
    ),
  limits: limitsSchema.optional().describe('Where the phase stops with a checkpoint and waits. Absent: nowhere.'),
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
