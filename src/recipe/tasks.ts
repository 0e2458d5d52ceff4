import type { CheckpointOfRun } from './curation.ts';

/** How one goes on from a released model: what is trained, at rates that are known to work, and by whom. */
export interface Task {
  readonly what: string;
  /** Where the rate comes from. */
  readonly source: string;
  readonly learningRate: number;
  /** Of a step, where the data are enough for it. */
  readonly batch: number;
  readonly epochs: number;
  /** What the phase has beyond its name and its origin. */
  readonly phase: Readonly<Record<string, unknown>>;
}

export const tasks = {
  finetune: {
    what: 'all of the model, at a small rate and without weight decay',
    source: 'SigLIP 2 trains its smaller models on at 1e-5 without weight decay (arXiv 2502.14786, 2.5)',
    learningRate: 1e-5,
    batch: 256,
    epochs: 5,
    phase: {},
  },
  lit: {
    what: 'the blocks and the head of the texts, with the image tower and the table of tokens as they are (LiT, arXiv 2111.07991)',
    source: 'so400m-long trained the texts of So400m at 4e-4 and a batch of 256 (model card of fancyfeast/so400m-long)',
    learningRate: 4e-4,
    batch: 256,
    epochs: 5,
    // With its moments and its gradient the table of tokens takes as much as all the rest of a B/16, three times over.
    phase: { train: ['text'], freeze: ['tokenTable'] },
  },
  lora: {
    what: 'adapters of low rank on every layer of both towers (LoRA, arXiv 2106.09685)',
    source:
      'adapters of rank 16 on CLIP at 1e-4 are usual, about ten times the rate of a whole model; no run of ours has tried it on released weights',
    learningRate: 1e-4,
    batch: 256,
    epochs: 5,
    phase: { lora: { rank: 16, alpha: 32 } },
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
}

/** A recipe as a person would write it for a task. The model comes from the checkpoint. */
export function taskRecipe({ task, from, train, evaluation, batch, accumulate = 1, remat }: TaskRecipe) {
  const { learningRate, epochs, phase, ...own } = tasks[task];
  return {
    version: 1,
    precision: 'auto',
    data: {
      train,
      ...(evaluation !== undefined && { evaluation }),
      resize: 'antialias',
      shuffle: { examples: 50_000 },
    },
    optimizer: { learningRate, weightDecay: 0 },
    schedule: { total: { epochs }, warmup: { percent: 10 } },
    phases: [
      {
        name: task,
        from,
        batch: batch ?? own.batch,
        ...(accumulate > 1 && { accumulate }),
        ...(remat && { remat }),
        ...phase,
      },
    ],
  };
}
