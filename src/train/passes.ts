import type { DinoHeadSize } from '../model/dino-head-parameters.ts';
import { patchGrid } from '../model/parameters.ts';
import type { TowerSize } from '../model/sizes.ts';
import { maskedCount } from '../objectives/masked-prediction.ts';
import { captionTasks } from '../recipe/caption-tasks.ts';
import type { PhaseSettings } from '../recipe/phase-settings.ts';
import { phaseState } from './phase-state.ts';
import { type Reach, reachOf } from './reach.ts';

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
  /** What of it is differentiated: nothing of the teacher's, and of what is frozen what lies above something that is not. */
  readonly reach: Reach;
}

/** Rows of an example that a head of self-distillation sees. */
export interface HeadPass {
  readonly name: 'localToGlobal' | 'maskedPrediction';
  readonly size: DinoHeadSize;
  readonly student: number;
  readonly teacher: number;
}

/** What a step runs over each example, images having so many patches; null: squares. */
export function passesOf(settings: PhaseSettings, patches: number | null): Pass[] {
  const { model, objectives, batches } = settings;
  const { vision, text } = model;
  const { captioning, localToGlobal, maskedPrediction, hardNegatives } = objectives;
  const length = patches ?? patchGrid(model) ** 2;
  const { patch } = vision;
  const phase = phaseState(settings);
  const image = { size: vision, sequences: 1, length, patch, reach: reachOf(phase, 'imageBlocks', vision.depth) };
  const words = {
    size: text,
    sequences: 1,
    length: batches.textLength,
    reach: reachOf(phase, 'textBlocks', text.depth),
  };
  const decoded = captioning && {
    size: { ...text, depth: captioning.depth },
    sequences: captionTasks.length,
    length: text.length,
    memory: { length, width: vision.width },
    reach: reachOf(phase, 'decoder', captioning.depth),
  };
  return [
    ...(objectives.sigmoid || captioning ? [image] : []),
    ...(objectives.sigmoid ? [words] : []),
    ...(hardNegatives ? [{ ...words, sequences: hardNegatives.texts }] : []),
    ...(decoded ? [decoded] : []),
    ...(localToGlobal || maskedPrediction ? [{ ...image, reach: { through: 0, weights: 0, any: false } }] : []),
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
