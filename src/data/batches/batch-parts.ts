import type { BatchPart } from './batch-part.ts';
import { captionTargetsPart } from './caption-targets.ts';
import { teacherScoresPart } from './teacher-scores.ts';
import { globalViewPart, localViewsPart, maskedPatchesPart, teacherViewPart } from './view-parts.ts';

/** Every part by its name in a plan. */
export const batchParts = {
  captionTargets: captionTargetsPart,
  globalView: globalViewPart,
  localViews: localViewsPart,
  maskedPatches: maskedPatchesPart,
  teacherScores: teacherScoresPart,
  teacherView: teacherViewPart,
} as const;

type SettingsOf<T> = T extends BatchPart<infer S> ? S : never;

/** The parts that a plan asks for, with their settings. */
export type BatchPartSettings = { readonly [K in keyof typeof batchParts]?: SettingsOf<(typeof batchParts)[K]> };
