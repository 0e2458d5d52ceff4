/** Figures of one task by our names, a path joined by dots: `k20.top1`, `by_language.en.image_to_text.r5`, `mIoU`. */
export interface TaskResult {
  readonly model: string;
  /** Which weights of the model: a run and step, or a checkpoint. */
  readonly pretrained: string;
  readonly dataset: Dataset;
  readonly task: Task;
  readonly language: string;
  readonly figures: readonly NamedFigure[];
}

export type Task =
  | 'zeroshot_classification'
  | 'zeroshot_retrieval'
  | 'linear_probe'
  | 'captioning'
  | 'knn'
  | 'dense'
  | 'detection';

/** Null where nothing was there to count. */
export interface NamedFigure {
  readonly name: string;
  readonly value: number | null;
}

export interface Dataset {
  /** `imagenet1k` in CLIP_benchmark's list, say. */
  readonly name: string;
  /** On the hub, for model cards: `ILSVRC/imagenet-1k`. */
  readonly id?: string;
  readonly config?: string;
  readonly split?: string;
  readonly revision?: string;
}
