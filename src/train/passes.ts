import type { DinoHeadSize } from '../model/dino-head.ts';
import { patchGrid } from '../model/parameters.ts';
import type { TowerSize } from '../model/sizes.ts';
import { maskedCount } from '../objectives/masked-prediction.ts';
import { captionTasks } from '../recipe/caption-tasks.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';

/** One run of transformer layers over each example. */
export interface Pass {
  readonly size: TowerSize;
  /** Sequences of an example, and their tokens. */
  readonly sequences: number;
  readonly length: number;
  /** Of images: patches are embedded, and pooled. */
  readonly patch?: number;
  /** Tokens of `width` that every layer attends to beside its own. */
  readonly memory?: { readonly length: number; readonly width: number };
  /** The teacher's are not differentiated. */
  readonly trained: boolean;
}

/** Rows of an example that a head of self-distillation sees. */
export interface HeadPass {
  readonly name: 'localToGlobal' | 'maskedPrediction';
  readonly size: DinoHeadSize;
  readonly student: number;
  readonly teacher: number;
}

/** What a step runs over each example, images having so many patches; null: squares. */
export function passesOf({ model, objectives, batches }: PhaseSettings, patches: number | null): Pass[] {
  const { vision, text } = model;
  const { captioning, localToGlobal, maskedPrediction } = objectives;
  const length = patches ?? patchGrid(model) ** 2;
  const { patch } = vision;
  const image = { size: vision, sequences: 1, length, patch, trained: true };
  const words = { size: text, sequences: 1, length: batches.textLength, trained: true };
  const decoded = captioning && {
    size: { ...text, depth: captioning.depth },
    sequences: captionTasks.length,
    length: text.length,
    memory: { length, width: vision.width },
    trained: true,
  };
  return [
    ...(objectives.sigmoid || captioning ? [image] : []),
    ...(objectives.sigmoid ? [words] : []),
    ...(decoded ? [decoded] : []),
    ...(localToGlobal || maskedPrediction ? [{ ...image, trained: false }] : []),
    ...(localToGlobal
      ? [{ ...image, sequences: localToGlobal.views, length: Math.floor(localToGlobal.resolution / patch) ** 2 }]
      : []),
    ...(maskedPrediction ? [image] : []),
  ];
}

/** The heads of self-distillation that a step has. */
export function headsOf({ model, objectives: { localToGlobal, maskedPrediction } }: PhaseSettings): HeadPass[] {
  const patches = patchGrid(model) ** 2;
  return [
    ...(localToGlobal
      ? [{ name: 'localToGlobal', size: localToGlobal, student: localToGlobal.views, teacher: 1 } as const]
      : []),
    ...(maskedPrediction
      ? [
          {
            name: 'maskedPrediction',
            size: maskedPrediction,
            student: maskedCount(patches, maskedPrediction.share),
            teacher: patches,
          } as const,
        ]
      : []),
  ];
}
