import type { CheckpointOfRun, CurationRecipe } from './curation.ts';

/** How one goes on from a released model: what is trained, at rates that are known to work, and by whom. */
export interface Task {
  readonly what: string;
  /** Where the rate comes from. */
  readonly source: string;
  readonly learningRate: number;
  /** Of a step, where the data are enough for it. */
  readonly batch: number;
  readonly epochs: number;
  /** What the phase has beyond its name and its origin, whatever the model. */
  readonly phase: Readonly<Record<string, unknown>>;
  /** What the data have otherwise than in the other tasks. */
  readonly data?: Readonly<Record<string, unknown>>;
  /** No step changes what the image tower makes of a picture, so that it need not be computed in each epoch. */
  readonly frozenPictures?: true;
  /** What takes less memory. */
  readonly lighter?: string;
}

export const tasks = {
  finetune: {
    what: 'all of the model, at a small rate and without weight decay',
    source: 'SigLIP 2 trains its smaller models on at 1e-5 without weight decay (arXiv 2502.14786, 2.5)',
    learningRate: 1e-5,
    batch: 256,
    epochs: 5,
    phase: {},
    lighter: '--task lora',
  },
  lit: {
    what: 'the blocks and the head of the texts, with the image tower and the table of tokens as they are (LiT, arXiv 2111.07991)',
    source: 'so400m-long trained the texts of So400m at 4e-4 and a batch of 256 (model card of fancyfeast/so400m-long)',
    learningRate: 4e-4,
    batch: 256,
    epochs: 5,
    // With its moments and its gradient the table of tokens takes as much as all the rest of a B/16, three times over.
    phase: { train: ['text'], freeze: ['tokenTable'] },
    frozenPictures: true,
    lighter: '--task lora',
  },
  lora: {
    what: 'adapters of low rank on every layer of both towers (LoRA, arXiv 2106.09685)',
    source:
      'adapters of rank 16 on CLIP at 1e-4 are usual, about ten times the rate of a whole model; no run of ours has tried it on released weights',
    learningRate: 1e-4,
    batch: 256,
    epochs: 5,
    phase: { lora: { rank: 16, alpha: 32 } },
    lighter: '--task lit',
  },
  long: {
    what: 'positions and blocks of the texts, which become 256 tokens long, with the head, the table of tokens and the images as they are',
    source:
      'so400m-long made the texts of So400m 256 tokens long at 4e-4 and a batch of 256, over 10 M examples (model card of fancyfeast/so400m-long)',
    learningRate: 4e-4,
    batch: 256,
    epochs: 5,
    phase: { text: { length: 256 }, train: ['text'], freeze: ['tokenTable', 'textHead'] },
    frozenPictures: true,
    lighter: '--task lora',
  },
  naflex: {
    what: 'all of the model, on pictures that keep their shape',
    source:
      'the NaFlex branch of SigLIP 2 begins at 90 % of a cosine from 1e-3, where the rate is 2.5e-5 (arXiv 2502.14786, 2.1 and 2.4.2); it had 15 billion examples',
    learningRate: 2.5e-5,
    batch: 256,
    epochs: 5,
    phase: {},
  },
  resolution: {
    what: 'all of the model, on larger pictures',
    source:
      'the resolution branches of SigLIP 2 begin at 95 % of a cosine from 1e-3, where the rate is 6.4e-6 (arXiv 2502.14786, 2.1 and 2.4.1); each had 2 billion examples',
    learningRate: 6.4e-6,
    batch: 256,
    epochs: 5,
    phase: {},
    lighter: 'a smaller --resolution',
  },
  distill: {
    what: 'all of the model, on those examples of each super-batch that it has most to learn from, by what a larger one makes of them',
    source:
      'SigLIP 2 trains B/16 and B/32 on at 1e-5 without weight decay, on what a So400m chooses (arXiv 2502.14786, 2.5); they had 4 billion examples',
    learningRate: 1e-5,
    batch: 256,
    epochs: 5,
    phase: {},
    // The teacher embeds each example once, so it has one text.
    data: { labelShare: 1 },
  },
} as const satisfies Readonly<Record<string, Task>>;
export type TaskName = keyof typeof tasks;

export interface TaskRecipe {
  readonly task: TaskName;
  readonly from: CheckpointOfRun;
  readonly train: string;
  readonly evaluation?: string | undefined;
  readonly batch?: number;
  readonly accumulate?: number;
  readonly remat?: 'blocks';
  readonly frozenFeatures?: 'kept';
  /** What the phase has by the model that it goes on from. */
  readonly vision?: { readonly resolution: number } | { readonly naflex: { readonly lengths: readonly number[] } };
  readonly curation?: Pick<CurationRecipe, 'teacher' | 'filterRatio'>;
}

/** Parts that a sub-batch is drawn in (arXiv 2406.17711), of one example at least. */
const mostChunks = 16;

/** A recipe as a person would write it for a task. The model comes from the checkpoint. */
export function taskRecipe({
  task,
  from,
  train,
  evaluation,
  batch: asked,
  accumulate = 1,
  remat,
  frozenFeatures,
  vision,
  curation,
}: TaskRecipe) {
  const { learningRate, epochs, phase, data, ...own }: Task = tasks[task];
  const batch = asked ?? own.batch;
  return {
    version: 1,
    precision: 'auto',
    data: {
      train,
      ...(evaluation !== undefined && { evaluation }),
      resize: 'antialias',
      shuffle: { examples: 50_000 },
      ...data,
    },
    optimizer: { learningRate, weightDecay: 0 },
    schedule: { total: { epochs }, warmup: { percent: 10 } },
    phases: [
      {
        name: task,
        from,
        batch,
        ...(accumulate > 1 && { accumulate }),
        ...(remat && { remat }),
        ...phase,
        ...(frozenFeatures && { frozenFeatures }),
        ...(vision && { vision }),
        ...(curation && { curation: { ...curation, chunks: Math.min(mostChunks, batch) } }),
      },
    ],
  };
}
