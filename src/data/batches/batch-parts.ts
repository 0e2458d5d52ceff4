import type { BatchPartSettings } from '../../recipe/batch-plan.ts';
import type { BatchPart } from './batch-part.ts';
import { captionTargetsPart } from './caption-targets.ts';
import { groupsPart } from './groups-part.ts';
import { hardNegativesPart } from './hard-negatives-part.ts';
import { picturesPart } from './pictures-part.ts';
import { teacherScoresPart } from './teacher-scores.ts';
import { globalViewPart, localViewsPart, maskedPatchesPart, teacherViewPart } from './view-parts.ts';

/** Every part by its name in a plan. */
export const batchParts: { readonly [K in keyof BatchPartSettings]-?: BatchPart<NonNullable<BatchPartSettings[K]>> } = {
  captionTargets: captionTargetsPart,
  globalView: globalViewPart,
  localViews: localViewsPart,
  maskedPatches: maskedPatchesPart,
  groups: groupsPart,
  hardNegatives: hardNegativesPart,
  pictures: picturesPart,
  teacherScores: teacherScoresPart,
  teacherView: teacherViewPart,
};
