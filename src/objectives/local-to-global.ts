import { dinoHeadSpecs, headOf } from '../model/dino-head-parameters.ts';
import { normalisePixels, visionTower } from '../model/vision-tower.ts';
import type { LocalToGlobalSettings } from '../recipe/objective-settings.ts';
import { distil, sayings } from './distillation.ts';
import type { Objective } from './objective.ts';

const head = headOf.localToGlobal;
const center = 'dino_center';

// Letters: B images, V local views of one, D width.

/**
 * Self-distillation from local to global views (SigLIP 2, section 2.3, after SILC, arXiv 2310.13355): from a small
 * part of an image the student is to tell what the teacher sees in most of it. The head reads the output of the MAP
 * head, before normalisation.
 */
export const localToGlobal: Objective<LocalToGlobalSettings> = {
  parameters: (settings, { vision }) => dinoHeadSpecs(head, vision.width, settings),
  reads: (name) => name.startsWith('vision_model.'),
  state: ({ prototypes }) => [{ name: center, shape: [prototypes], value: 0 }],
  teaches: (name) => name.startsWith(`${head}.`),
  feeds: ({ views, resolution }, { vision }, count) => ({
    globalView: { shape: [count, vision.resolution, vision.resolution, 3], dtype: 'uint8' },
    localViews: { shape: [count * views, resolution, resolution, 3], dtype: 'uint8' },
  }),
  says({ settings, teacher, state, features }) {
    const teacher_BTxD = features.teacherGlobal.pooled;
    return sayings({ head, teacher, teacher_BTxD, center_K: state[center]!, images: teacher_BTxD.shape[0]! }, settings);
  },
  loss({ settings, model, tower, p, teacher, state, feeds, features }) {
    const local_BVxD = visionTower(p, model, normalisePixels(feeds.localViews!), tower).pooled;
    const teacher_BTxD = features.teacherGlobal.pooled;
    const { loss, center_K } = distil(
      {
        ...{ head, p, teacher, student_BSxD: local_BVxD, teacher_BTxD },
        ...{ center_K: state[center]!, images: teacher_BTxD.shape[0]! },
      },
      settings,
    );
    return { loss, state: { [center]: center_K } };
  },
};
