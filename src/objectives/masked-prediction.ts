import type { Tensor } from '@tensorflow/tfjs';
import { gatherRows } from '../compile/ops/gather-rows.ts';
import { dinoHeadSpecs, headOf, maskToken } from '../model/dino-head-parameters.ts';
import { patchGrid } from '../model/parameters.ts';
import { normalisePixels, visionTower } from '../model/vision-tower.ts';
import type { MaskedPredictionSettings } from '../recipe/objective-settings.ts';
import { tf } from '../runtime/tensorflow.ts';
import { distil, flatRows, sayings } from './distillation.ts';
import { isEncoder, type Objective } from './objective.ts';

const head = headOf.maskedPrediction;
const center = 'patch_center';
const token = maskToken;

// Letters: B images, N patches of one, M of them masked, D width.

/** Patches of an image that are masked, of `patches`. */
export const maskedCount = (patches: number, share: number): number => Math.round(share * patches);

/**
 * Masked prediction (SigLIP 2, section 2.3, after TIPS, arXiv 2410.16512): where the student sees a mask token, it is
 * to tell what the teacher, which sees the whole of the same view, says of that patch. Every image has as many masked
 * patches, so the mean over rows is iBOT's mean over images of means over patches. The centre is over all patches.
 * The mask token starts at zero, as iBOT's does.
 */
export const maskedPrediction: Objective<MaskedPredictionSettings> = {
  parameters: (settings, { vision }) => [
    { name: token, shape: [vision.width], init: { kind: 'constant', value: 0 }, decay: false },
    ...dinoHeadSpecs(head, vision.width, settings),
  ],
  reads: isEncoder,
  state: ({ prototypes }) => [{ name: center, shape: [prototypes], value: 0 }],
  teaches: (name) => name.startsWith(`${head}.`),
  feeds: ({ share }, model, count) => ({
    globalView: { shape: [count, model.vision.resolution, model.vision.resolution, 3], dtype: 'uint8' },
    maskedPatches: { shape: [count, maskedCount(patchGrid(model) ** 2, share)], dtype: 'int32' },
  }),
  // Of all patches: the centre is over all of them.
  says({ settings, teacher, state, features }) {
    const { encoded: teacher_BTxD, pooled } = features.teacherGlobal;
    return sayings({ head, teacher, teacher_BTxD, center_K: state[center]!, images: pooled.shape[0]! }, settings);
  },
  loss({ settings, model, tower, p, teacher, state, feeds, features }) {
    const patches = patchGrid(model) ** 2;
    const masked_BM = feeds.maskedPatches!;
    const mask = { token: p[token]!, at: maskOf(masked_BM, patches) };
    const student_BNxD = visionTower(p, model, normalisePixels(feeds.globalView!), { ...tower, mask }).encoded;
    const { loss, center_K } = distil(
      {
        ...{ head, p, teacher, center_K: state[center]!, images: masked_BM.shape[0]!, targets_BS: masked_BM },
        student_BSxD: gatherRows(student_BNxD, flatRows(masked_BM, patches)),
        teacher_BTxD: features.teacherGlobal.encoded,
      },
      settings,
    );
    return { loss, state: { [center]: center_K } };
  },
};

/** (B, M) int32 of distinct numbers -> (B N, 1), 1 where a patch is masked. */
function maskOf(masked_BM: Tensor, patches: number): Tensor {
  const [batch, count] = masked_BM.shape as [number, number];
  return tf
    .oneHot(masked_BM.reshape([-1]) as never, patches)
    .cast('float32')
    .reshape([batch, count, patches])
    .sum(1)
    .reshape([batch * patches, 1]);
}
